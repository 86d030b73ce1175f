#!/bin/bash
# Makes PostgreSQL 17 with TimescaleDB (Apache edition) in a folder, from the packages of Debian trixie, for tests.
#
#   deploy/timescaledb.sh DIR      -> DIR/bin/{initdb,pg_ctl,postgres,psql,...}
#
# Runs on any amd64 or arm64 machine that has apt and dpkg-deb. Needs no root and installs nothing: the packages are unpacked, and
# wrappers start the programs with trixie's own loader and C library. The mirror, proxies and logins are those of the machine's apt.
# A second call returns at once. The folder may be moved.
set -euo pipefail

readonly version=17 suite=trixie recipe=2
readonly keyring=/usr/share/keyrings/debian-archive-keyring.gpg
target=$(realpath -m "${1:?usage: deploy/timescaledb.sh DIR}")
readonly target

fail() {
    echo "TimescaleDB: $*" >&2
    exit 1
}

if [ -f "$target/.complete-$recipe" ] && "$target/bin/postgres" --version >/dev/null 2>&1; then
    exit 0
fi
for program in apt-get apt-config dpkg dpkg-deb tar; do
    command -v "$program" >/dev/null || fail "$program is missing: this needs Debian or a relative of it"
done
[ -f "$keyring" ] || fail "install the package debian-archive-keyring"

architecture=$(dpkg --print-architecture)
case "$architecture" in
    amd64) triplet=x86_64-linux-gnu ;;
    arm64) triplet=aarch64-linux-gnu ;;
    *) fail "no packages for $architecture" ;;
esac
readonly architecture triplet

mkdir -p "$(dirname "$target")"
work=$(mktemp -d "$target.XXXXXX")
readonly work
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/apt/{etc,lists/partial,cache/archives/partial} "$work/packages" "$work/root" "$work/bin"

# Repositories that the machine itself uses; security and third-party ones do not carry the suite.
mirrors() {
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null | sort -u | grep -E '/debian/?$' || true
    echo http://deb.debian.org/debian
}

write_configuration() {
    : >"$work/apt/status"
    echo "deb [arch=$architecture signed-by=$keyring] $1 $suite main" >"$work/apt/etc/sources.list"
    cat >"$work/apt/apt.conf" <<X
Dir::Etc "$work/apt/etc";
Dir::Etc::sourcelist "$work/apt/etc/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::parts "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::Etc::netrc "/etc/apt/auth.conf";
Dir::Etc::netrcparts "/etc/apt/auth.conf.d";
Dir::State::lists "$work/apt/lists";
Dir::State::status "$work/apt/status";
Dir::Cache "$work/apt/cache";
APT::Architecture "$architecture";
APT::Architectures "$architecture";
APT::Sandbox::User "";
Acquire::Retries "3";
$(apt-config dump | grep -E '^Acquire::(http|https|ftp|Check|AllowReleaseInfoChange|ForceIPv|By-Hash)' || true)
Acquire::Languages "none";
X
}

update() {
    local mirror
    for mirror in $(mirrors); do
        write_configuration "$mirror"
        APT_CONFIG="$work/apt/apt.conf" apt-get -qq update 2>"$work/error" && return
    done
    fail "no mirror of $suite answers: $(tail -n 1 "$work/error")"
}

echo "TimescaleDB: fetching PostgreSQL $version with the extension into $target" >&2
update
packages="postgresql-$version postgresql-client-$version postgresql-$version-timescaledb
    libc6 zlib1g libzstd1 liblz4-1 liblzma5 libssl3t64 libicu76 libxml2 libxslt1.1 libpam0g libldap2 libsasl2-2
    libgssapi-krb5-2 libkrb5-3 libkrb5support0 libk5crypto3 libcom-err2 libkeyutils1 libsystemd0 libselinux1 libpcre2-8-0
    libcap2 libaudit1 libcap-ng0 libgcc-s1 libstdc++6 libuuid1 libpq5 libreadline8t64 libtinfo6 tzdata"
# shellcheck disable=SC2086
(cd "$work/packages" && APT_CONFIG="$work/apt/apt.conf" apt-get -qq download $packages) || fail "the packages cannot be fetched"
for package in "$work"/packages/*.deb; do
    # llvmjit without its LLVM would fail at the first query that wants it.
    dpkg-deb --fsys-tarfile "$package" | tar -x -C "$work/root" --exclude=./usr/share/{doc,man,locale} \
        --exclude="./usr/lib/postgresql/$version/lib/bitcode" --exclude='*/llvmjit*'
done

# initdb and pg_ctl execute the `postgres` beside themselves, so each program is replaced by a wrapper of the same name.
loader=$(basename "$work/root/usr/lib/$triplet"/ld-linux-*.so.*)
for program in "$work/root/usr/lib/postgresql/$version/bin"/*; do
    name=$(basename "$program")
    if [ -L "$program" ] || [ "$(head -c 4 "$program" | tr -d '\0')" != $'\x7fELF' ]; then
        continue
    fi
    mv "$program" "$program.real"
    cat >"$program" <<X
#!/bin/sh
here=\$(dirname "\$(readlink -f "\$0")")
libraries="\$here/../../../$triplet"
exec "\$libraries/$loader" --library-path "\$libraries" --argv0 "\$here/$name" "\$here/$name.real" "\$@"
X
    chmod 755 "$program"
    ln -s "../root/usr/lib/postgresql/$version/bin/$name" "$work/bin/$name"
done
rm -rf "$work/packages" "$work/apt" "$work/error"
"$work/bin/postgres" --version >&2
touch "$work/.complete-$recipe"
chmod 755 "$work"
rm -rf "$target"
mv -T "$work" "$target"
