#!/bin/sh
# Make the base image localhost/debian:trixie-slim from Debian's packages alone, where no image registry is reached. As root.
set -eu
tag=${1:-localhost/debian:trixie-slim}
podman image exists "$tag" && exit 0

mirror=$(apt-get indextargets --format '$(REPO_URI)' | head -n 1)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
debootstrap --variant=minbase trixie "$root" "$mirror" >/dev/null

# What Debian's own slim images leave out: manuals and translations, now and in what is installed later.
cat >"$root/etc/dpkg/dpkg.cfg.d/slim" <<'END'
path-exclude /usr/share/doc/*
path-exclude /usr/share/info/*
path-exclude /usr/share/locale/*
path-exclude /usr/share/man/*
path-include /usr/share/doc/*/copyright
END
find "$root/usr/share/doc" -type f ! -name copyright -delete
rm -rf "$root"/usr/share/info/* "$root"/usr/share/locale/* "$root"/usr/share/man/*
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/var/log/apt "$root"/var/log/*.log
tar -C "$root" --numeric-owner -c . | podman import --change 'CMD ["bash"]' - "$tag" >/dev/null
