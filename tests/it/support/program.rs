//! Whole static programs, made here byte by byte, so that tests need no compiler.

/// What they write to standard output.
pub(crate) const TEXT: &str = "hello from an empty image\n";

/// The address that the file is loaded to.
const BASE: u32 = 0x40_0000;
/// The file header and two program headers.
const CODE: u32 = 64 + 2 * 56;

/// An x86-64 program that writes [`TEXT`] and exits with the last byte of its user's number.
pub(crate) fn amd64() -> Vec<u8> {
    let code = |text: u32| {
        let mut code = Vec::new();
        let load = |register: u8, value: u32| [&[register][..], &value.to_le_bytes()].concat();
        let (eax, edi, esi, edx) = (0xb8, 0xbf, 0xbe, 0xba);
        let syscall = [0x0f, 0x05];
        code.extend(load(eax, 1)); // write
        code.extend(load(edi, 1));
        code.extend(load(esi, text));
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

/// The same for AArch64.
pub(crate) fn arm64() -> Vec<u8> {
    let code = |text: u32| {
        let movz = |register: u32, value: u32| 0xd280_0000 | (value << 5) | register;
        let movz_high = |register: u32, value: u32| 0xd2a0_0000 | (value << 5) | register;
        let movk = |register: u32, value: u32| 0xf280_0000 | (value << 5) | register;
        let svc = 0xd400_0001;
        let words = [
            movz(8, 64), // write
            movz(0, 1),
            movz_high(1, text >> 16),
            movk(1, text & 0xffff),
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

/// A 64-bit little-endian executable for `machine` with one segment that holds all of it: headers,
/// code (which is told the address of the text) and text.
fn elf(machine: u16, code: impl Fn(u32) -> Vec<u8>) -> Vec<u8> {
    let length = code(0).len() as u32;
    let body = code(BASE + CODE + length);
    let size = u64::from(CODE) + body.len() as u64 + TEXT.len() as u64;
    let mut file = Vec::new();
    file.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    file.extend(2_u16.to_le_bytes()); // ET_EXEC
    file.extend(machine.to_le_bytes());
    file.extend(1_u32.to_le_bytes());
    file.extend(u64::from(BASE + CODE).to_le_bytes()); // entry
    file.extend(64_u64.to_le_bytes()); // program headers
    file.extend(0_u64.to_le_bytes()); // section headers
    file.extend(0_u32.to_le_bytes()); // flags
    for half in [64_u16, 56, 2, 64, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    file.extend(1_u32.to_le_bytes()); // PT_LOAD
    file.extend(5_u32.to_le_bytes()); // readable, executable
    let base = u64::from(BASE);
    for word in [0, base, base, size, size, 0x1_0000] {
        file.extend(word.to_le_bytes());
    }
    file.extend(0x6474_e551_u32.to_le_bytes()); // PT_GNU_STACK
    file.extend(6_u32.to_le_bytes()); // readable, writable
    file.extend([0; 40]);
    file.extend([16, 0, 0, 0, 0, 0, 0, 0]);
    file.extend(body);
    file.extend(TEXT.as_bytes());
    file
}
