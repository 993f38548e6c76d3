# The image of neapd, neap-scalers and neapctl. tools/image makes the same files without a daemon, and is what collects them here.
#   docker build -t neap:0.1.0 .
FROM debian:12 AS build
WORKDIR /src
COPY tools/install-deps tools/install-deps
RUN tools/install-deps
COPY . .
RUN cmake --preset release && ninja -C build/release neapd neap-scalers neapctl && tools/image --rootfs /rootfs

FROM scratch
COPY --from=build /rootfs /
ENV PATH=/usr/bin SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
WORKDIR /
USER 65532:65532
ENTRYPOINT ["/usr/bin/neapd"]
