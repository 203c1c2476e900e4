//! Numbers of tags, types and flags (rpm's `include/rpm/rpmtag.h`, `rpmds.h` and `rpmfiles.h`).

/// The type of bytes.
pub const BYTES: u32 = 7;

/// The region of the signature.
pub const SIGNATURES: u32 = 62;
/// The region of the header.
pub const IMMUTABLE: u32 = 63;

/// The signature by a key of DSA or EdDSA, over the header.
pub const SIGNATURE_DSA: u32 = 267;
/// The signature by a key of RSA, over the header.
pub const SIGNATURE_RSA: u32 = 268;
/// The SHA-256 of the header, in hex digits.
pub const SIGNATURE_SHA256: u32 = 273;
/// The size of header and payload.
pub const SIGNATURE_SIZE: u32 = 1000;
/// The size of the unpacked payload.
pub const SIGNATURE_PAYLOAD_SIZE: u32 = 1007;

/// The languages of translations.
pub const LANGUAGES: u32 = 100;
/// The name.
pub const NAME: u32 = 1000;
/// The version.
pub const VERSION: u32 = 1001;
/// The release.
pub const RELEASE: u32 = 1002;
/// The epoch.
pub const EPOCH: u32 = 1003;
/// The summary.
pub const SUMMARY: u32 = 1004;
/// The description.
pub const DESCRIPTION: u32 = 1005;
/// The time of the build.
pub const BUILD_TIME: u32 = 1006;
/// The host of the build.
pub const BUILD_HOST: u32 = 1007;
/// The size of all files.
pub const SIZE: u32 = 1009;
/// The vendor.
pub const VENDOR: u32 = 1011;
/// The licence.
pub const LICENSE: u32 = 1014;
/// The packager.
pub const PACKAGER: u32 = 1015;
/// The group.
pub const GROUP: u32 = 1016;
/// The home page.
pub const URL: u32 = 1020;
/// The operating system.
pub const OS: u32 = 1021;
/// The architecture.
pub const ARCHITECTURE: u32 = 1022;
/// The sizes of files.
pub const FILE_SIZES: u32 = 1028;
/// The modes of files.
pub const FILE_MODES: u32 = 1030;
/// The device numbers of device files.
pub const FILE_RDEVS: u32 = 1033;
/// The times of files.
pub const FILE_MTIMES: u32 = 1034;
/// The digests of files.
pub const FILE_DIGESTS: u32 = 1035;
/// The targets of symbolic links.
pub const FILE_LINK_TARGETS: u32 = 1036;
/// The flags of files.
pub const FILE_FLAGS: u32 = 1037;
/// The owners of files.
pub const FILE_USERS: u32 = 1039;
/// The groups of files.
pub const FILE_GROUPS: u32 = 1040;
/// The source package, which every binary package names.
pub const SOURCE_RPM: u32 = 1044;
/// The properties of files that `rpm --verify` compares.
pub const FILE_VERIFY_FLAGS: u32 = 1045;
/// The names of what it provides, followed by flags and versions elsewhere.
pub const PROVIDE_NAMES: u32 = 1047;
/// The flags of what it requires.
pub const REQUIRE_FLAGS: u32 = 1048;
/// The names of what it requires.
pub const REQUIRE_NAMES: u32 = 1049;
/// The versions of what it requires.
pub const REQUIRE_VERSIONS: u32 = 1050;
/// The flags of what it conflicts with.
pub const CONFLICT_FLAGS: u32 = 1053;
/// The names of what it conflicts with.
pub const CONFLICT_NAMES: u32 = 1054;
/// The versions of what it conflicts with.
pub const CONFLICT_VERSIONS: u32 = 1055;
/// The times of changes.
pub const CHANGE_TIMES: u32 = 1080;
/// The authors of changes.
pub const CHANGE_NAMES: u32 = 1081;
/// The descriptions of changes.
pub const CHANGE_TEXTS: u32 = 1082;
/// The names of what it obsoletes.
pub const OBSOLETE_NAMES: u32 = 1090;
/// The devices of files.
pub const FILE_DEVICES: u32 = 1095;
/// The inodes of files.
pub const FILE_INODES: u32 = 1096;
/// The languages of files.
pub const FILE_LANGUAGES: u32 = 1097;
/// The flags of what it provides.
pub const PROVIDE_FLAGS: u32 = 1112;
/// The versions of what it provides.
pub const PROVIDE_VERSIONS: u32 = 1113;
/// The flags of what it obsoletes.
pub const OBSOLETE_FLAGS: u32 = 1114;
/// The versions of what it obsoletes.
pub const OBSOLETE_VERSIONS: u32 = 1115;
/// The directory of each file.
pub const DIRECTORY_INDEXES: u32 = 1116;
/// The names of files.
pub const BASE_NAMES: u32 = 1117;
/// The directories.
pub const DIRECTORY_NAMES: u32 = 1118;
/// The format of the payload.
pub const PAYLOAD_FORMAT: u32 = 1124;
/// The compression of the payload.
pub const PAYLOAD_COMPRESSOR: u32 = 1125;
/// The level of that compression.
pub const PAYLOAD_FLAGS: u32 = 1126;
/// The size of all files, if it does not fit into 32 bits.
pub const LONG_SIZE: u32 = 5009;
/// The sizes of files, if one does not fit into 32 bits.
pub const LONG_FILE_SIZES: u32 = 5008;
/// The capabilities of files.
pub const FILE_CAPABILITIES: u32 = 5010;
/// The algorithm of the digests of files.
pub const FILE_DIGEST_ALGORITHM: u32 = 5011;
/// The names of what it recommends, followed by its versions and flags.
pub const RECOMMEND_NAMES: u32 = 5046;
/// The versions of what it recommends.
pub const RECOMMEND_VERSIONS: u32 = 5047;
/// The flags of what it recommends.
pub const RECOMMEND_FLAGS: u32 = 5048;
/// The encoding of strings.
pub const ENCODING: u32 = 5062;
/// The digest of the payload.
pub const PAYLOAD_DIGEST: u32 = 5092;
/// The algorithm of that digest.
pub const PAYLOAD_DIGEST_ALGORITHM: u32 = 5093;
/// The digest of the unpacked payload.
pub const PAYLOAD_PLAIN_DIGEST: u32 = 5097;

/// The programs that rpm starts when it installs, removes or verifies the package, by their tags.
pub const SCRIPTS: [(u32, &str); 12] = [
    (1023, "prein"),
    (1024, "postin"),
    (1025, "preun"),
    (1026, "postun"),
    (1065, "triggers"),
    (1079, "verify"),
    (1151, "pretrans"),
    (1152, "posttrans"),
    (5066, "filetriggers"),
    (5076, "transfiletriggers"),
    (5103, "preuntrans"),
    (5104, "postuntrans"),
];

/// SHA-256 among the algorithms (RFC 9580, section 9.5).
pub const SHA256: u32 = 8;

/// A version must be smaller.
pub const LESS: u32 = 1 << 1;
/// A version must be larger.
pub const GREATER: u32 = 1 << 2;
/// A version must be equal.
pub const EQUAL: u32 = 1 << 3;
/// A feature of rpm itself.
pub const RPMLIB: u32 = 1 << 24;

/// A configuration file.
pub const FILE_CONFIG: u32 = 1;
/// Documentation.
pub const FILE_DOC: u32 = 1 << 1;
/// A configuration file that is not replaced once it was changed.
pub const FILE_NO_REPLACE: u32 = 1 << 4;
/// A file that is not in the payload.
pub const FILE_GHOST: u32 = 1 << 6;
/// A licence.
pub const FILE_LICENSE: u32 = 1 << 7;
