# mailconfd and nothing else: no shell, no libc, no package manager.
#
#   docker build -t mailconfd .
#   docker run -p 8080:8080 -v ./mailconfd.yaml:/etc/mailconfd/mailconfd.yaml:ro -v mailconfd:/var/lib/mailconfd mailconfd
#
# Its listeners must be on an address that the container's network reaches, such as listen: ["0.0.0.0:8080"].

FROM golang:1.26 AS build
WORKDIR /src
# The modules first: a change in the source alone does not fetch them again.
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN make image-root

FROM scratch
# Root certificates are part of the program (golang.org/x/crypto/x509roots/fallback), so none are copied.
COPY --from=build /src/dist/image/mailconfd /mailconfd
# A place for state, writable for that user. This version keeps its state in memory and writes nothing.
COPY --from=build --chown=65532:65532 /src/dist/image/var/lib/mailconfd /var/lib/mailconfd
VOLUME /var/lib/mailconfd
ENV STATE_DIRECTORY=/var/lib/mailconfd

# Not root: the program reads from mail servers and from anyone on the web, and needs no right but to open sockets.
# The user is a number, because a scratch image has no /etc/passwd and because Kubernetes (runAsNonRoot) can check only
# a number.
USER 65532:65532

# Documents on 8080; metrics and health on 9090, which is nobody's business outside.
# For 80 and 443 map them: "-p 80:8080 -p 443:8443" with tls.listen: ["0.0.0.0:8443"]. In a network of its own Docker
# (20.10 and later) also lets any user bind the low ports directly. With --network host it does not: set
# net.ipv4.ip_unprivileged_port_start=80 on the host, or put a proxy in front.
EXPOSE 8080 9090

ENTRYPOINT ["/mailconfd"]
CMD ["serve"]
