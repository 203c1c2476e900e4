#!/bin/sh
# Installs @name@ @version@: downloads the archive for this machine, compares it with the digest below, and moves
# the programs in it into a directory.
#
#   sh @script@ [--to DIR] [--from URL] [--version] [--help]
set -eu

name='@name@'
version='@version@'
from='@url@'

# The machine, the digest of its archive, and the archive.
archives='
@archives@
'
# The machine, the digest of a program in its archive, and the program.
programs='
@programs@
'

usage() {
    cat <<EOF
Installs $name $version, after comparing it with the digests in this script.

Usage: sh @script@ [OPTIONS]

Options:
  --to DIR     Directory for the programs [default: ~/.local/bin]
  --from URL   Directory with the archives: a URL, or a path [default: $from]
  --version    Print the version that this script installs
  --help       Print help
EOF
}

fail() {
    printf '%s: %s\n' '@script@' "$1" >&2
    exit "${2:-1}"
}

has() {
    command -v "$1" >/dev/null 2>&1
}

# Prints the machines with programs that run on this one, the best first.
machines() {
    case $(uname -m) in
        x86_64 | amd64) echo 'x86_64 i686' ;;
        aarch64 | arm64) echo aarch64 ;;
        i?86) echo i686 ;;
        armv7* | armv8l) echo 'armv7l armv6l armv5tel' ;;
        armv6*) echo 'armv6l armv5tel' ;;
        *) uname -m ;;
    esac
}

# Prints the lines of the table $1 that are for the machine $2, without it.
rows() {
    printf '%s\n' "$1" | while read -r known row; do
        if [ "$known" = "$2" ]; then
            printf '%s\n' "$row"
        fi
    done
}

# Prints the digest of the file $1.
digest() {
    case $hasher in
        sha256sum) sha256sum <"$1" ;;
        shasum) shasum -a 256 <"$1" ;;
        *) openssl dgst -sha256 -r <"$1" ;;
    esac | cut -d ' ' -f 1
}

# Fails unless the file $1 has the digest $2. Messages call it $3.
verify() {
    found=$(digest "$1") || found=
    if [ "$found" != "$2" ]; then
        fail "$3 is corrupt: expected the SHA-256 digest $2, got ${found:-none}; nothing was installed"
    fi
}

# Gets the file $1 into the file $2.
fetch() {
    case $from in
        http://* | https://*) ;;
        *)
            cp "${from#file://}/$1" "$2" || fail "cannot copy $from/$1"
            return
            ;;
    esac
    if has curl; then
        curl --fail --location --silent --show-error --retry 2 --output "$2" "$from/$1" ||
            fail "cannot download $from/$1"
    elif has wget; then
        # That of BusyBox does not have the option, and does not retry.
        case $(wget --version 2>/dev/null) in
            GNU*) wget -q --tries=3 -O "$2" "$from/$1" ;;
            *) wget -q -O "$2" "$from/$1" ;;
        esac || fail "cannot download $from/$1"
    else
        fail 'neither curl nor wget is installed; --from takes a directory with the archives'
    fi
}

# Reads the arguments into $to and $from.
arguments() {
    to=
    while [ $# -gt 0 ]; do
        case $1 in
            --to | --from)
                [ $# -gt 1 ] || fail "$1 needs a value" 2
                case $1 in
                    --to) to=$2 ;;
                    *) from=$2 ;;
                esac
                shift
                ;;
            --to=*) to=${1#*=} ;;
            --from=*) from=${1#*=} ;;
            --version)
                printf '%s %s\n' "$name" "$version"
                exit 0
                ;;
            --help)
                usage
                exit 0
                ;;
            *) fail "unknown argument \`$1\`; --help lists the options" 2 ;;
        esac
        shift
    done
    from=${from%/}
    if [ -z "$to" ]; then
        [ -n "${HOME:-}" ] || fail 'HOME is not set; --to takes the directory' 2
        to=$HOME/.local/bin
    fi
}

# Finds the archive for this machine, and the command that computes digests.
preflight() {
    system=$(uname -s)
    [ "$system" = Linux ] || fail "$name $version has programs for Linux only, and this is $system"
    row=
    for machine in $(machines); do
        row=$(rows "$archives" "$machine")
        [ -z "$row" ] || break
    done
    [ -n "$row" ] || fail "$name $version has no programs for $(uname -m)"
    expected=${row%% *}
    archive=${row#* }
    hasher=
    for known in sha256sum shasum openssl; do
        if has "$known"; then
            hasher=$known
            break
        fi
    done
    [ -n "$hasher" ] || fail 'cannot verify the archive: neither sha256sum, shasum nor openssl is installed'
    has tar || fail 'tar is not installed'
}

main() {
    arguments "$@"
    preflight
    # In the same file system, so that each program is replaced in one step.
    mkdir -p -- "$to" 2>/dev/null || fail "cannot create the directory $to; --to takes a different one"
    to=$(CDPATH='' cd -- "$to" && pwd)
    work=$(mktemp -d "$to/.$name.XXXXXX" 2>/dev/null) ||
        fail "cannot write to the directory $to; --to takes a different one"
    trap 'rm -rf "$work"' EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM

    fetch "$archive" "$work/archive"
    verify "$work/archive" "$expected" "$from/$archive"
    tar -xzf "$work/archive" -C "$work" || fail "cannot unpack $archive"
    rows "$programs" "$machine" >"$work/programs"
    while read -r expected program; do
        file=$work/${archive%.tar.gz}/$program
        [ -f "$file" ] || fail "$archive has no program $program"
        verify "$file" "$expected" "$program"
        chmod 755 "$file"
        [ ! -d "$to/$program" ] || fail "$to/$program is a directory"
    done <"$work/programs"
    while read -r expected program; do
        mv -f "$work/${archive%.tar.gz}/$program" "$to/$program" || fail "cannot write $to/$program"
        printf 'installed %s %s\n' "$to/$program" "$version"
    done <"$work/programs"
    case :${PATH:-}: in
        *":$to:"*) ;;
        *) printf 'hint: %s is not in PATH\n' "$to" ;;
    esac
}

# Nothing is done before the complete script has been read.
main "$@"
