//! Whole static programs, made here byte by byte, so that tests need no compiler. They run at any
//! address, and the built-in targets accept them.

/// Their output to stdout.
pub(crate) const TEXT: &str = "hello from an empty image\n";

/// The offset of the code: after the file header and the dynamic section, at an offset that tests know.
const CODE: u32 = 64 + 2 * 56;

/// Returns an x86-64 program that writes [`TEXT`] and exits with the last byte of its user's number.
pub(crate) fn amd64() -> Vec<u8> {
    let code = |text: u32| {
        let mut code = Vec::new();
        let load = |register: u8, value: u32| [&[register][..], &value.to_le_bytes()].concat();
        let (eax, edi, edx) = (0xb8, 0xbf, 0xba);
        let syscall = [0x0f, 0x05];
        code.extend(load(eax, 1)); // write
        code.extend(load(edi, 1));
        let next = code.len() as u32 + 7;
        code.extend([0x48, 0x8d, 0x35]); // lea rsi, [rip + …]
        code.extend(text.wrapping_sub(next).to_le_bytes());
        code.extend(load(edx, TEXT.len() as u32));
        code.extend(syscall);
        code.extend(load(eax, 102)); // getuid
        code.extend(syscall);
        code.extend([0x89, 0xc7]); // mov edi, eax
        code.extend(load(eax, 60)); // exit
        code.extend(syscall);
        code
    };
    elf(62, code)
}

/// Returns the same, for a fixed address.
pub(crate) fn fixed_amd64() -> Vec<u8> {
    let mut bytes = amd64();
    bytes[16] = 2; // ET_EXEC
    bytes
}

/// Returns the same for AArch64.
pub(crate) fn arm64() -> Vec<u8> {
    let code = |text: u32| {
        let movz = |register: u32, value: u32| 0xd280_0000 | (value << 5) | register;
        let adr = |register: u32, distance: u32| {
            0x1000_0000 | ((distance & 3) << 29) | ((distance >> 2) << 5) | register
        };
        let svc = 0xd400_0001;
        let words = [
            movz(8, 64), // write
            movz(0, 1),
            adr(1, text.wrapping_sub(8) & 0x1f_ffff),
            movz(2, TEXT.len() as u32),
            svc,
            movz(8, 174), // getuid
            svc,
            movz(8, 93), // exit
            svc,
        ];
        words.into_iter().flat_map(u32::to_le_bytes).collect()
    };
    elf(183, code)
}

/// Returns a 64-bit little-endian static-pie for `machine` with one segment that holds all of it: header,
/// dynamic section, code (which is told how far away the text is), text and program headers.
fn elf(machine: u16, code: impl Fn(u32) -> Vec<u8>) -> Vec<u8> {
    let length = code(0).len() as u32;
    let mut body = code(length);
    body.extend(TEXT.as_bytes());
    body.resize(body.len().next_multiple_of(8), 0);
    let headers = u64::from(CODE) + body.len() as u64;
    let size = headers + 3 * 56;
    let mut file = Vec::new();
    file.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    file.extend(3_u16.to_le_bytes()); // ET_DYN
    file.extend(machine.to_le_bytes());
    file.extend(1_u32.to_le_bytes());
    file.extend(u64::from(CODE).to_le_bytes()); // entry
    file.extend(headers.to_le_bytes()); // program headers
    file.extend(0_u64.to_le_bytes()); // section headers
    file.extend(0_u32.to_le_bytes()); // flags
    for half in [64_u16, 56, 3, 64, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    for word in [0x6fff_fffb_u64, 0x0800_0000, 0, 0] {
        file.extend(word.to_le_bytes()); // DT_FLAGS_1: DF_1_PIE; DT_NULL
    }
    file.resize(CODE as usize, 0);
    file.extend(body);
    let mut header = |kind: u32, flags: u32, words: [u64; 6]| {
        file.extend(kind.to_le_bytes());
        file.extend(flags.to_le_bytes());
        words.iter().for_each(|word| file.extend(word.to_le_bytes()));
    };
    header(1, 5, [0, 0, 0, size, size, 0x1_0000]); // PT_LOAD: readable, executable
    header(2, 4, [64, 64, 64, 32, 32, 8]); // PT_DYNAMIC
    header(0x6474_e551, 6, [0, 0, 0, 0, 0, 16]); // PT_GNU_STACK: readable, writable
    file
}
