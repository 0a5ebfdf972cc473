package lab

import "io"

// ReadSOCKS is readSOCKS, for the fuzz target.
func ReadSOCKS(r io.Reader) (host string, port uint16, code byte) { return readSOCKS(r) }
