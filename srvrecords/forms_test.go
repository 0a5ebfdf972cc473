package srvrecords_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	"go.yaml.in/yaml/v3"

	"mailconfd/settings"
	"mailconfd/settings/settingstest"
	"mailconfd/srvrecords"
)

// rude is a text that each form has to write in its own way.
var rude = `v="1"; a=b;c='d' ` + strings.Repeat("0123456789", 60) + `\`

// forms are the ways to write a set, by the ending of their golden files.
var forms = map[string]func(srvrecords.Set) []byte{
	"zone":       srvrecords.Set.Zone,
	"json":       srvrecords.Set.JSON,
	"nsupdate":   func(s srvrecords.Set) []byte { return s.NSUpdate("192.0.2.53:5353") },
	"octodns":    srvrecords.Set.OctoDNS,
	"dnscontrol": srvrecords.Set.DNSControl,
}

// formSets are the sets that each form is tried on.
func formSets(t *testing.T) map[string]srvrecords.Set {
	t.Helper()
	result := past{
		"submission://mail.bücher.example": seen("submission://mail.bücher.example"), "imaps://mail.bücher.example": seen("imaps://mail.bücher.example"),
		"pop3://mail.bücher.example": failed("pop3://mail.bücher.example", settings.FailureRefused),
	}
	p := settingstest.Provider("submission://mail.bücher.example", "imaps://mail.bücher.example", "pop3://mail.bücher.example")
	opt := srvrecords.Options{ConfigHost: "config.hoster.example", Mailconf: true, TTL: 5 * time.Minute}
	byAddress := opt
	byAddress.Zone = "bücher.example"
	byAddress.ConfigAddresses = []netip.Addr{netip.MustParseAddr("192.0.2.8"), netip.MustParseAddr("::ffff:192.0.2.9"), netip.MustParseAddr("2001:db8::8")}
	delegated, err := srvrecords.Delegate(p, "customer.example", "hoster.example", opt)
	if err != nil {
		t.Fatal(err)
	}
	customers, err := srvrecords.Delegate(p, srvrecords.Template, "hoster.example", opt)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]srvrecords.Set{
		"over-https":         compile(t, goldens()["over-https"].result, "example.org", srvrecords.Options{}),
		"idn-below-zone":     srvrecords.WithText(compile(t, result.verify(p), "post.bücher.example", byAddress), "rude", rude),
		"template":           compile(t, result.verify(p), srvrecords.Template, opt),
		"delegated":          delegated,
		"delegated-template": customers,
		"empty":              compile(t, past{}.verify(p), "example.org", srvrecords.Options{}),
	}
}

func TestForms(t *testing.T) {
	t.Parallel()
	for name, set := range formSets(t) {
		for form, write := range forms {
			t.Run(name+"/"+form, func(t *testing.T) {
				t.Parallel()
				got := string(write(set))
				file := filepath.Join("testdata", "forms", name+"."+form)
				if *update {
					if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(want), got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", file, diff)
				}
				if diff := cmp.Diff(flat(set), readers[form](t, got, set)); diff != "" {
					t.Errorf("read back (-set +%s):\n%s", form, diff)
				}
			})
		}
	}
}

// flat says each record of a set in one line, sorted: owner relative to the domain's
// zone, TTL, type and data, the strings of a text joined.
func flat(set srvrecords.Set) []string {
	all := []string{}
	for _, r := range set.Records {
		data := r.Data
		if r.Type == "TXT" {
			rr, err := dns.NewRR(". TXT " + r.Data)
			if err != nil {
				panic(err)
			}
			data = textOf(rr)
		}
		all = append(all, line(strings.TrimSuffix(r.Owner, "."), r.TTL, r.Type, data))
	}
	slices.Sort(all)
	return all
}

func line(owner string, ttl uint32, kind, data string) string {
	return fmt.Sprintf("%s %d %s %s", owner, ttl, kind, data)
}

// textOf packs a TXT record and joins what its strings hold on the wire.
func textOf(rr dns.RR) string {
	buf := make([]byte, 64<<10)
	n, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		panic(err)
	}
	wire := buf[dns.Len(&dns.ANY{Hdr: dns.RR_Header{Name: rr.Header().Name}}):n]
	text := ""
	for len(wire) > 0 {
		n := 1 + int(wire[0])
		text += string(wire[1:n])
		wire = wire[n:]
	}
	return text
}

// readers read a form back as its program would, to the lines of flat.
var readers = map[string]func(*testing.T, string, srvrecords.Set) []string{
	"zone":       readZone,
	"json":       readJSON,
	"nsupdate":   readNSUpdate,
	"octodns":    readOctoDNS,
	"dnscontrol": readDNSControl,
}

// fromRR says a record in one line; the origin of a template's records is cut off.
func fromRR(rr dns.RR, set srvrecords.Set) string {
	h := rr.Header()
	data := strings.TrimPrefix(rr.String(), h.String())
	if h.Rrtype == dns.TypeTXT {
		data = textOf(rr)
	}
	owner := strings.TrimSuffix(h.Name, ".")
	if set.Domain == srvrecords.Template {
		owner = strings.TrimSuffix(owner, ".origin.test")
	}
	return line(owner, h.Ttl, dns.TypeToString[h.Rrtype], data)
}

func readZone(t *testing.T, text string, set srvrecords.Set) []string {
	all := []string{}
	parser := dns.NewZoneParser(strings.NewReader(text), "origin.test.", "")
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		all = append(all, fromRR(rr, set))
	}
	if err := parser.Err(); err != nil {
		t.Error(err)
	}
	slices.Sort(all)
	return all
}

func readJSON(t *testing.T, text string, _ srvrecords.Set) []string {
	var set srvrecords.Set
	if err := json.Unmarshal([]byte(text), &set); err != nil {
		t.Fatal(err)
	}
	return flat(set)
}

// readNSUpdate also holds the script to its promise: it deletes before it adds, adds
// and deletes only at names and types of the set, and sends once, at the end.
func readNSUpdate(t *testing.T, text string, set srvrecords.Set) []string {
	all := []string{}
	text = strings.ReplaceAll(text, "${DOMAIN}", "origin.test")
	deleted := map[string]bool{}
	sent := false
	for command := range strings.Lines(text) {
		command = strings.TrimSuffix(command, "\n")
		add, isAdd := strings.CutPrefix(command, "update add ")
		gone, isDelete := strings.CutPrefix(command, "update delete ")
		switch {
		case strings.HasPrefix(command, ";"): // an empty line would send, too early
		case sent:
			t.Errorf("after send: %s", command)
		case isAdd:
			rr, err := dns.NewRR(add)
			if err != nil {
				t.Fatal(err)
			}
			if _, alias := rr.(*dns.CNAME); !alias && !deleted[rr.Header().Name+" "+dns.TypeToString[rr.Header().Rrtype]] && set.Domain != srvrecords.Template {
				t.Errorf("added and not deleted before: %s", add)
			}
			all = append(all, fromRR(rr, set))
		case isDelete:
			fields := strings.SplitN(gone, " ", 3)
			if ours := strings.HasPrefix(fields[0], "_caldavs._tcp.") || strings.HasPrefix(fields[0], "_carddavs._tcp."); fields[1] == "TXT" && len(fields) < 3 && !ours {
				t.Errorf("deletes the texts of others: %s", command)
			}
			deleted[fields[0]+" "+fields[1]] = true
		case command == "server 192.0.2.53 5353", command == "zone xn--bcher-kva.example." && set.Unicode != "":
		case command == "send":
			sent = true
		default:
			t.Errorf("unknown command %q", command)
		}
	}
	if sent != (len(set.Records) > 0) {
		t.Errorf("sent: %t", sent)
	}
	slices.Sort(all)
	return all
}

// readOctoDNS reads as YamlProvider of octoDNS 1.x does, with enforce_order.
func readOctoDNS(t *testing.T, text string, set srvrecords.Set) []string {
	var zone yaml.Node
	if err := yaml.Unmarshal([]byte(text), &zone); err != nil {
		t.Fatal(err)
	}
	ordered(t, &zone)
	var names map[string][]struct {
		TTL    uint32
		Type   string
		Value  string
		Values []yaml.Node
	}
	if err := zone.Decode(&names); err != nil {
		t.Fatal(err)
	}
	all := []string{}
	for name, records := range names {
		for _, r := range records {
			owner := octoOwner(name, set)
			if r.Value != "" {
				all = append(all, line(owner, r.TTL, r.Type, r.Value))
			}
			for _, v := range r.Values {
				all = append(all, line(owner, r.TTL, r.Type, octoData(t, r.Type, v)))
			}
		}
	}
	slices.Sort(all)
	return all
}

func octoOwner(name string, set srvrecords.Set) string {
	switch {
	case set.Domain == srvrecords.Template:
		return name
	case set.Unicode != "":
		return name + ".xn--bcher-kva.example" // the zone of that set
	case name == "":
		return set.Domain
	}
	return name + "." + set.Domain
}

func octoData(t *testing.T, kind string, v yaml.Node) string {
	switch kind {
	case "SRV":
		var srv struct {
			Port, Priority, Weight uint16
			Target                 string
		}
		if err := v.Decode(&srv); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%d %d %d %s", srv.Priority, srv.Weight, srv.Port, srv.Target)
	case "TXT":
		if strings.Contains(strings.ReplaceAll(v.Value, `\;`, ""), ";") {
			t.Errorf("a semicolon that octoDNS refuses: %s", v.Value)
		}
		return strings.ReplaceAll(v.Value, `\;`, ";")
	}
	return v.Value
}

// ordered: octoDNS refuses keys that are out of order.
func ordered(t *testing.T, n *yaml.Node) {
	var keys []string
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			keys = append(keys, child.Value)
		}
		ordered(t, child)
	}
	if !slices.IsSorted(keys) {
		t.Errorf("keys out of order: %q", keys)
	}
}

// call is a record in DNSControl's language; test/real has the real reader.
var call = regexp.MustCompile(`^  (\w+)\((.*), TTL\((\d+)\)\)(,?)$`)

func readDNSControl(t *testing.T, text string, set srvrecords.Set) []string {
	all := []string{}
	for l := range strings.Lines(text) {
		l = strings.TrimSuffix(l, "\n")
		m := call.FindStringSubmatch(l)
		if m == nil {
			continue
		}
		var args []any
		if err := json.Unmarshal([]byte("["+m[2]+"]"), &args); err != nil {
			t.Fatal(err)
		}
		owner := fmt.Sprint(args[0])
		switch {
		case set.Domain != srvrecords.Template && owner == "@":
			owner = set.Domain
		case set.Domain != srvrecords.Template:
			owner += "." + set.Domain
		}
		all = append(all, fmt.Sprintf("%s %s %s %s", owner, m[3], m[1], strings.Trim(fmt.Sprint(args[1:]), "[]")))
		if last := len(all) == len(set.Records); last == (m[4] == ",") {
			t.Errorf("the comma of %s", l)
		}
	}
	slices.Sort(all)
	return all
}

// TestNSUpdateKeepsAWay: as long as mail could not be fetched or sent by what is
// verified, the script deletes nothing that it does not replace.
func TestNSUpdateKeepsAWay(t *testing.T) {
	t.Parallel()
	p := settingstest.Provider("submission://mail.example.org", "imaps://mail.example.org")
	set := compile(t, past{"imaps://mail.example.org": seen("imaps://mail.example.org")}.verify(p), "example.org", srvrecords.Options{})
	script := string(set.NSUpdate(""))
	if strings.Contains(script, "update delete _submission._tcp") || !strings.Contains(script, "update delete _imaps._tcp.example.org. SRV\n") {
		t.Errorf("script:\n%s", script)
	}
	set = compile(t, past{"imaps://mail.example.org": seen("imaps://mail.example.org"), "submission://mail.example.org": seen("submission://mail.example.org")}.verify(
		settingstest.Provider("submission://mail.example.org", "submissions://mail.example.org", "imaps://mail.example.org")), "example.org", srvrecords.Options{})
	if script := string(set.NSUpdate("")); !strings.Contains(script, "update delete _submissions._tcp.example.org. SRV\n") || strings.Contains(script, "_pop3") {
		t.Errorf("script:\n%s", script)
	}
}
