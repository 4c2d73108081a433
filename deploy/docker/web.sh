#!/bin/sh
# The internet of deploy/compose.demo.yml: the exits' router, and one web server behind it that serves 64 MiB
# no cache or compressor can make smaller. Its log says who asked.
set -eu
ip addr add 203.0.113.1/24 dev eth0
ip addr add 192.0.2.80/32 dev lo
mkdir -p /srv/www
cd /srv/www
head -c 67108864 /dev/urandom >blob
sha256sum blob >sum
exec busybox httpd -f -vv -p 80 -h /srv/www
