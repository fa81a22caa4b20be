# How Docker's daemon is started where none runs: by up, and by tests.
# shellcheck shell=bash disable=SC2034

# Without its proxy of each published port: that ends itself when it has no file left for one more connection, as under
# customers who come again and again while a server is away, and the port is dead from then on.
DOCKERD=(dockerd --userland-proxy=false)
