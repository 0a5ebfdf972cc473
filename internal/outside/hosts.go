package outside

import (
	"bufio"
	"io"
	"net/netip"
	"strings"
)

// Limits of a hosts file. Lists that block advertisements have some MB.
const (
	maxHostsFile = 16 << 20
	maxHostsLine = 4 << 10
)

// addressesIn returns the addresses that a hosts file (hosts(5)) gives a name, sorted,
// each once. What cannot be read as a line of such a file is skipped; a line that is
// too long ends the reading.
func addressesIn(file io.Reader, host string) []netip.Addr {
	lines := bufio.NewScanner(io.LimitReader(file, maxHostsFile))
	lines.Buffer(nil, maxHostsLine)
	var ips []netip.Addr
	for lines.Scan() {
		line, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		ip, err := netip.ParseAddr(fields[0])
		if err != nil || ip.Zone() != "" {
			continue
		}
		for _, name := range fields[1:] {
			if strings.EqualFold(strings.TrimSuffix(name, "."), host) {
				ips = append(ips, ip.Unmap())
			}
		}
	}
	return unique(ips)
}
