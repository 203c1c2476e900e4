//! Small ELF files for tests, built in memory: a static-pie for any class, byte order and machine,
//! of which a test changes one property.

/// The contents of the file; every field may be changed.
#[derive(Clone, Debug)]
pub(crate) struct Fixture {
    pub(crate) wide: bool,
    pub(crate) little: bool,
    pub(crate) machine: u16,
    pub(crate) kind: u16,
    pub(crate) os_abi: u8,
    /// `e_flags`.
    pub(crate) flags: u32,
    /// Whether there is a `PT_GNU_RELRO`.
    pub(crate) relro: bool,
    /// `GNU_PROPERTY_X86_ISA_1_NEEDED`, in a note if it is set.
    pub(crate) property: Option<u32>,
    /// Whether there is the note of glibc's start-up code.
    pub(crate) abi_tag: bool,
    pub(crate) interpreter: Option<&'static str>,
    pub(crate) needed: Vec<&'static str>,
    pub(crate) runpath: Option<&'static str>,
    /// Versions of symbols that it needs, and more names in the table of dynamic strings.
    pub(crate) versions: Vec<&'static str>,
    pub(crate) names: Vec<&'static str>,
    /// Further entries of the dynamic section; `None` for a file without a dynamic section.
    pub(crate) dynamic: Option<Vec<(u64, u64)>>,
    pub(crate) build_id: Option<Vec<u8>>,
    /// Flags of `PT_GNU_STACK`.
    pub(crate) stack: Option<u32>,
    /// Flags of the one `PT_LOAD`.
    pub(crate) load: u32,
    pub(crate) align: u64,
    /// The value that is added to the address, beyond the offset, of all that is loaded.
    pub(crate) base: u64,
    pub(crate) text: Vec<u8>,
    /// Name, `sh_type`, content of sections that are not loaded.
    pub(crate) sections: Vec<(&'static str, u64, Vec<u8>)>,
    /// Whether there are section headers.
    pub(crate) headers: bool,
}

/// Class, byte order and machine of each kind: x86-64, arm64, 32-bit ARM, s390x, RISC-V.
pub(crate) const MACHINES: [(bool, bool, u16); 5] =
    [(true, true, 62), (true, true, 183), (false, true, 40), (true, false, 22), (true, true, 243)];

pub(crate) const SHT_PROGBITS: u64 = 1;
pub(crate) const SHT_SYMTAB: u64 = 2;
pub(crate) const DF_1_PIE: (u64, u64) = (0x6fff_fffb, 0x0800_0000);

impl Fixture {
    /// Creates a file that every lint passes.
    pub(crate) fn new((wide, little, machine): (bool, bool, u16)) -> Self {
        Fixture {
            wide,
            little,
            machine,
            kind: 3,
            os_abi: 0,
            flags: 0,
            relro: false,
            property: None,
            abi_tag: false,
            interpreter: None,
            needed: Vec::new(),
            runpath: None,
            versions: Vec::new(),
            names: Vec::new(),
            dynamic: Some(vec![DF_1_PIE]),
            build_id: Some(vec![0xab; 20]),
            stack: Some(6),
            load: 5,
            align: 0x1_0000,
            base: 0x1_0000,
            text: b"some text".to_vec(),
            sections: vec![(".comment", SHT_PROGBITS, b"a compiler\0".to_vec())],
            headers: true,
        }
    }

    fn number(&self, out: &mut Vec<u8>, number: u64, size: usize) {
        match self.little {
            true => out.extend(&number.to_le_bytes()[..size]),
            false => out.extend(&number.to_be_bytes()[8 - size..]),
        }
    }

    fn numbers(&self, out: &mut Vec<u8>, numbers: &[(u64, usize)]) {
        for &(number, size) in numbers {
            self.number(out, number, size);
        }
    }

    fn word(&self) -> usize {
        if self.wide { 8 } else { 4 }
    }

    /// Returns section, type and content of its GNU notes.
    fn notes(&self) -> Vec<(&'static str, u64, Vec<u8>)> {
        let mut notes = Vec::new();
        if let Some(id) = &self.build_id {
            notes.push((".note.gnu.build-id", 3, id.clone()));
        }
        if let Some(bits) = self.property {
            let mut property = Vec::new();
            self.numbers(&mut property, &[(0xc000_8002, 4), (4, 4), (bits.into(), 8)]);
            notes.push((".note.gnu.property", 5, property));
        }
        if self.abi_tag {
            notes.push((".note.ABI-tag", 1, vec![0; 16]));
        }
        notes
    }

    /// Builds the file.
    pub(crate) fn build(&self) -> Vec<u8> {
        let (header_size, entry_size) = if self.wide { (64, 56) } else { (52, 32) };
        let parts = [
            self.interpreter.is_some(),
            self.dynamic.is_some(),
            self.stack.is_some(),
            self.relro,
            true,
        ];
        let count = parts.iter().filter(|&&part| part).count() + self.notes().len();
        let mut out = vec![0; header_size + count * entry_size];
        // Type, flags, offset, size.
        let mut segments = Vec::new();
        // Name, type, flags, offset, size.
        let mut sections = vec![("", 0, 0, 0, 0)];
        if let Some(path) = self.interpreter {
            let at = append(&mut out, path.as_bytes());
            out.push(0);
            segments.push((3, 4, at, path.len() + 1));
            sections.push((".interp", SHT_PROGBITS, 2, at, path.len() + 1));
        }
        for (name, kind, content) in self.notes() {
            let mut note = Vec::new();
            self.numbers(&mut note, &[(4, 4), (content.len() as u64, 4), (kind, 4)]);
            note.extend(b"GNU\0");
            note.extend(content);
            let at = append(&mut out, &note);
            segments.push((4, 4, at, note.len()));
            sections.push((name, 7, 2, at, note.len()));
        }
        if let Some(more) = &self.dynamic {
            let (at, len) = self.dynamic_section(&mut out, more);
            segments.push((2, 6, at, len));
            sections.push((".dynamic", 6, 2, at, len));
        }
        let at = append(&mut out, &self.text);
        let entry = self.base + at as u64;
        sections.push((".text", SHT_PROGBITS, 6, at, self.text.len()));
        let loaded = out.len();
        segments.insert(0, (1, self.load, 0, loaded));
        if let Some(flags) = self.stack {
            segments.push((0x6474_e551, flags, 0, 0));
        }
        if self.relro {
            segments.push((0x6474_e552, 4, 0, 0));
        }
        for (name, kind, content) in &self.sections {
            let at = append(&mut out, content);
            sections.push((name, *kind, 0, at, content.len()));
        }
        let table = if self.headers { self.section_table(&mut out, sections) } else { (0, 0) };
        let start = self.start(entry, count as u64, &segments, table);
        out[..start.len()].copy_from_slice(&start);
        out
    }

    fn dynamic_section(&self, out: &mut Vec<u8>, more: &[(u64, u64)]) -> (usize, usize) {
        let mut strings = vec![0];
        let mut entries = more.to_vec();
        let names = self.needed.iter().map(|name| (1, name));
        for (tag, name) in names.chain(self.runpath.iter().map(|path| (29, path))) {
            entries.push((tag, strings.len() as u64));
            strings.extend(name.as_bytes());
            strings.push(0);
        }
        for name in &self.names {
            strings.extend(name.as_bytes());
            strings.push(0);
        }
        let mut table = Vec::new();
        let count = self.versions.len() as u64;
        self.numbers(&mut table, &[(1, 2), (count, 2), (0, 4), (16, 4), (0, 4)]);
        for (index, name) in self.versions.iter().enumerate() {
            let next = if index + 1 == self.versions.len() { 0 } else { 16 };
            let at = strings.len() as u64;
            self.numbers(&mut table, &[(0, 4), (0, 2), (2, 2), (at, 4), (next, 4)]);
            strings.extend(name.as_bytes());
            strings.push(0);
        }
        if count > 0 {
            let at = append(out, &table);
            entries.extend([(0x6fff_fffe, self.base + at as u64), (0x6fff_ffff, 1)]);
        }
        let at = append(out, &strings);
        entries.extend([(5, self.base + at as u64), (10, strings.len() as u64), (0, 0)]);
        let mut bytes = Vec::new();
        for (tag, value) in entries {
            self.numbers(&mut bytes, &[(tag, self.word()), (value, self.word())]);
        }
        (append(out, &bytes), bytes.len())
    }

    /// Appends the names and the headers; returns the offset of the headers and their number.
    fn section_table(
        &self,
        out: &mut Vec<u8>,
        mut sections: Vec<(&str, u64, u64, usize, usize)>,
    ) -> (u64, u64) {
        sections.push((".shstrtab", 3, 0, 0, 0));
        let mut names = Vec::new();
        let offsets: Vec<u64> = sections
            .iter()
            .map(|(name, ..)| {
                let at = names.len() as u64;
                names.extend(name.as_bytes());
                names.push(0);
                at
            })
            .collect();
        let last = sections.last_mut().unwrap();
        (last.3, last.4) = (append(out, &names), names.len());
        let strings = sections.iter().position(|section| section.0 == ".strtab");
        let strings = strings.map(|at| at as u64);
        let word = self.word();
        let mut table = Vec::new();
        for ((_, kind, flags, at, len), name) in sections.iter().zip(offsets) {
            let address = if *flags == 0 { 0 } else { self.base + *at as u64 };
            let (at, len) = (*at as u64, *len as u64);
            self.numbers(&mut table, &[(name, 4), (*kind, 4), (*flags, word), (address, word)]);
            // A symbol table's names, where there are some.
            let link = strings.filter(|_| *kind == SHT_SYMTAB).unwrap_or(0);
            self.numbers(
                &mut table,
                &[(at, word), (len, word), (link, 4), (0, 4), (8, word), (0, word)],
            );
        }
        (append(out, &table) as u64, sections.len() as u64)
    }

    /// Returns the ELF header and the program headers.
    fn start(
        &self,
        entry: u64,
        count: u64,
        segments: &[(u64, u32, usize, usize)],
        table: (u64, u64),
    ) -> Vec<u8> {
        let word = self.word();
        let (header_size, entry_size, section_size) =
            if self.wide { (64, 56, 64) } else { (52, 32, 40) };
        let mut out = b"\x7fELF".to_vec();
        out.extend([1 + u8::from(self.wide), 2 - u8::from(self.little), 1, self.os_abi]);
        out.resize(16, 0);
        self.numbers(&mut out, &[(self.kind.into(), 2), (self.machine.into(), 2), (1, 4)]);
        self.numbers(
            &mut out,
            &[(entry, word), (header_size, word), (table.0, word), (self.flags.into(), 4)],
        );
        self.numbers(&mut out, &[(header_size, 2), (entry_size, 2), (count, 2), (section_size, 2)]);
        self.numbers(&mut out, &[(table.1, 2), (table.1.saturating_sub(1), 2)]);
        for &(kind, flags, at, len) in segments {
            let (flags, at, len) = (u64::from(flags), at as u64, len as u64);
            let address = self.base + at;
            let align = if kind == 1 { self.align } else { 4 };
            self.number(&mut out, kind, 4);
            if self.wide {
                self.number(&mut out, flags, 4);
            }
            self.numbers(
                &mut out,
                &[(at, word), (address, word), (address, word), (len, word), (len, word)],
            );
            if !self.wide {
                self.number(&mut out, flags, 4);
            }
            self.number(&mut out, align, word);
        }
        out
    }
}

/// Appends at the next multiple of 8; returns that offset.
fn append(out: &mut Vec<u8>, bytes: &[u8]) -> usize {
    out.resize(out.len().next_multiple_of(8), 0);
    let at = out.len();
    out.extend(bytes);
    at
}

/// Returns the next number of a deterministic generator (xorshift64, Marsaglia 2003).
pub(crate) fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// Returns `bytes` with a few of them changed, and sometimes truncated.
pub(crate) fn mutate(bytes: &[u8], state: &mut u64) -> Vec<u8> {
    const EDGE_VALUES: [u8; 8] = [0, 1, 2, 0x7f, 0x80, 0xfe, 0xff, 0x40];
    let mut out = bytes.to_vec();
    for _ in 0..=random(state) % 4 {
        let at = random(state) as usize % out.len();
        // Headers decide more than what follows them.
        let at = if random(state).is_multiple_of(2) { at } else { at % 512.min(out.len()) };
        let byte = random(state);
        out[at] = EDGE_VALUES.get(byte as usize % 16).copied().unwrap_or(byte as u8);
    }
    if random(state).is_multiple_of(16) {
        out.truncate(1 + random(state) as usize % out.len());
    }
    out
}
