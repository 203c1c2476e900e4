//! Minimal programs, which only exit. They test an emulator before it runs a program.

use crate::model::machine::Endian;

/// The exit status of the programs.
pub const MINIMAL_STATUS: i32 = 42;

/// The address at which the file is loaded.
const BASE: u64 = 0x1_0000;

/// Returns a program for a machine (`e_machine`, class, byte order) that exits with [`MINIMAL_STATUS`];
/// `None` if the machine is unknown.
pub fn minimal_program(machine: u16, class: u8, endian: Endian) -> Option<Vec<u8>> {
    let little = endian == Endian::Little;
    // Words of instructions, the system call `exit` (syscall(2) has the registers), and `e_flags`.
    let words: (&[u32], u32) = match (machine, class, little) {
        (3, 32, true) => {
            // mov eax, 1; mov ebx, 42; int 0x80
            let code = [0xb8, 1, 0, 0, 0, 0xbb, 42, 0, 0, 0, 0xcd, 0x80];
            return Some(FileHeader { machine, class, little, flags: 0 }.file(&code));
        }
        (62, 64, true) => {
            // mov eax, 60; mov edi, 42; syscall
            let code = [0xb8, 60, 0, 0, 0, 0xbf, 42, 0, 0, 0, 0x0f, 0x05];
            return Some(FileHeader { machine, class, little, flags: 0 }.file(&code));
        }
        (22, 64, false) => {
            // lghi %r2, 42; svc 1
            let code = [0xa7, 0x29, 0, 42, 0x0a, 1];
            return Some(FileHeader { machine, class, little, flags: 0 }.file(&code));
        }
        // mov r7, #1; mov r0, #42; svc 0 (EABI 5)
        (40, 32, true) => (&[0xe3a0_7001, 0xe3a0_002a, 0xef00_0000], 0x0500_0000),
        // li $v0, 5058; li $a0, 42; syscall (MIPS64 release 2, ABI n64)
        (8, 64, true) => (&[0x2402_13c2, 0x2404_002a, 0x0000_000c], 0x8000_0000),
        // li r0, 1; li r3, 42; sc (ELF v2)
        (21, 64, _) => (&[0x3800_0001, 0x3860_002a, 0x4400_0002], 2),
        // mov x8, #93; mov x0, #42; svc #0
        (183, 64, true) => (&[0xd280_0ba8, 0xd280_0540, 0xd400_0001], 0),
        // li a7, 93; li a0, 42; ecall
        (243, _, true) => (&[0x05d0_0893, 0x02a0_0513, 0x0000_0073], 0),
        // ori $a7, $zero, 93; ori $a0, $zero, 42; syscall 0 (double-float, object ABI 1)
        (258, 64, true) => (&[0x0381_740b, 0x0380_a804, 0x002b_0000], 0x43),
        _ => return None,
    };
    let (words, flags) = words;
    let image = FileHeader { machine, class, little, flags };
    let code: Vec<u8> = words.iter().flat_map(|word| image.word(*word)).collect();
    Some(image.file(&code))
}

/// The contents of the file header.
#[derive(Clone, Copy, Debug)]
struct FileHeader {
    machine: u16,
    class: u8,
    little: bool,
    flags: u32,
}

impl FileHeader {
    fn half(self, value: u16) -> [u8; 2] {
        if self.little { value.to_le_bytes() } else { value.to_be_bytes() }
    }

    fn word(self, value: u32) -> [u8; 4] {
        if self.little { value.to_le_bytes() } else { value.to_be_bytes() }
    }

    /// Returns an address or an offset.
    fn address(self, value: u64) -> Vec<u8> {
        match (self.class, self.little) {
            (64, true) => value.to_le_bytes().to_vec(),
            (64, false) => value.to_be_bytes().to_vec(),
            _ => self.word(u32::try_from(value).unwrap_or_default()).to_vec(),
        }
    }

    /// Returns a file with one segment, which contains everything: headers and `code`.
    fn file(self, code: &[u8]) -> Vec<u8> {
        let wide = self.class == 64;
        let (header, program): (u16, u16) = if wide { (64, 56) } else { (52, 32) };
        let start = u64::from(header) + u64::from(program);
        let size = start + code.len() as u64;
        let mut file = b"\x7fELF".to_vec();
        file.extend([if wide { 2 } else { 1 }, if self.little { 1 } else { 2 }, 1]);
        file.resize(16, 0);
        file.extend(self.half(2)); // ET_EXEC
        file.extend(self.half(self.machine));
        file.extend(self.word(1));
        file.extend(self.address(BASE + start)); // entry
        file.extend(self.address(header.into())); // program headers
        file.extend(self.address(0)); // section headers
        file.extend(self.word(self.flags));
        for value in [header, program, 1, 0, 0, 0] {
            file.extend(self.half(value));
        }
        file.extend(self.word(1)); // PT_LOAD
        let readable_executable = self.word(5);
        if wide {
            file.extend(readable_executable);
        }
        for value in [0, BASE, BASE, size, size] {
            file.extend(self.address(value));
        }
        if !wide {
            file.extend(readable_executable);
        }
        file.extend(self.address(0x1_0000)); // alignment
        file.extend(code);
        file
    }
}
