package srvrecords_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"mailconfd/settings"
	"mailconfd/settings/settingstest"
	"mailconfd/srvrecords"
)

var update = flag.Bool("update", false, "write the golden files anew; read the difference before it is committed")

// past is what the probes of each service came to.
type past map[string]settings.History

func (p past) verify(provider settings.Provider) settings.Result {
	histories := map[settings.Service]settings.Views{}
	for url, h := range p {
		histories[settingstest.Service(url)] = settings.Views{h}
	}
	return settings.Verify(provider, histories, settingstest.Now, settings.DefaultPolicy())
}

func seen(url string) settings.History {
	return settings.Fold(settingstest.Seen(settingstest.Service(url), settingstest.Now))
}

func failed(url string, kind settings.FailureKind) settings.History {
	return settings.Fold(settingstest.Failed(settingstest.Service(url), settingstest.Now, kind))
}

// failing worked until half an hour ago and has been refused since.
func failing(url string) settings.History {
	s := settingstest.Service(url)
	observations := []settings.Observation{settingstest.Seen(s, settingstest.Now.Add(-30*time.Minute))}
	for _, ago := range []time.Duration{29 * time.Minute, 15 * time.Minute, 0} {
		observations = append(observations, settingstest.Failed(s, settingstest.Now.Add(-ago), settings.FailureRefused))
	}
	return settings.Fold(observations...)
}

// local worked over an own address.
func local(url string) settings.History {
	o := settingstest.Seen(settingstest.Service(url), settingstest.Now)
	o.Addresses[0].Local = true
	return settings.Fold(o)
}

// at worked over HTTP at a context path.
func at(path, url string) settings.History {
	o := settingstest.Seen(settingstest.Service(url), settingstest.Now, "BASIC")
	o.Addresses[0].Path = path
	return settings.Fold(o)
}

// host declares a host without services: every default port is a candidate.
func host(name string) settings.Provider {
	p := settingstest.Provider()
	p.Services = settings.Candidates(name)
	return p
}

// golden is one case; the text is in testdata/NAME.golden, written from RFC 6186, RFC
// 8314 and the rules in docs/dns.md.
type golden struct {
	domain string
	result settings.Result
	opt    srvrecords.Options
}

func goldens() map[string]golden {
	const mail = "mail.example.org"
	all := past{}
	for _, s := range settings.Candidates(mail) {
		all[s.String()] = seen(s.String())
	}
	closed := past{
		"submission://mail.example.org:587": seen("submission://mail.example.org"), "imaps://mail.example.org": seen("imaps://mail.example.org"),
		"submission://mail.example.org:2525": seen("submission://mail.example.org:2525"), "submissions://mail.example.org": seen("submissions://mail.example.org"),
		"imap://mail.example.org": failed("imap://mail.example.org", settings.FailureRefused), "sieve://mail.example.org": seen("sieve://mail.example.org"),
		"pop3s://mail.example.org": failed("pop3s://mail.example.org", settings.FailureRefused), "pop3://mail.example.org": failed("pop3://mail.example.org", settings.FailureTimeout),
	}
	declared := host(mail)
	declared.NotOffered = []settings.Role{settings.RolePOP3, settings.RoleIMAP}
	localPart := settingstest.Provider("submission://smtp.example.org", "imaps://imap.example.org")
	localPart.Username = settings.UsernameLocalPart
	trusted := settingstest.Provider("imaps://imap.example.org", "imap://imap.example.org")
	trusted.Trusted = []settings.Trust{{Service: settingstest.Service("submission://smtp.example.org"), Reason: "behind a VPN"}}

	return map[string]golden{
		"everything": {"example.org", all.verify(host(mail)), srvrecords.Options{ConfigHost: "config.example.net", TTL: 5 * time.Minute}},
		"only-465":   {"example.org", past{"submissions://mail.example.org": seen("submissions://mail.example.org"), "imaps://mail.example.org": seen("imaps://mail.example.org"), "submission://mail.example.org": failed("submission://mail.example.org", settings.FailureNoSTARTTLS)}.verify(settingstest.Provider("submission://mail.example.org", "submissions://mail.example.org", "imaps://mail.example.org")), srvrecords.Options{}},
		"only-2525":  {"example.org", past{"submission://mail.example.org:2525": seen("submission://mail.example.org:2525"), "imaps://mail.example.org": seen("imaps://mail.example.org")}.verify(settingstest.Provider("submission://mail.example.org:2525", "imaps://mail.example.org")), srvrecords.Options{}},
		"starttls-only": {"example.org", past{
			"submission://mail.example.org": seen("submission://mail.example.org"), "imap://mail.example.org": seen("imap://mail.example.org"), "pop3://mail.example.org": seen("pop3://mail.example.org"),
		}.verify(settingstest.Provider("submission://mail.example.org", "imap://mail.example.org", "pop3://mail.example.org")), srvrecords.Options{}},
		"not-offered": {"example.org", closed.verify(declared), srvrecords.Options{}},
		"587-failing": {"example.org", past{
			"submission://mail.example.org": failing("submission://mail.example.org"), "submissions://mail.example.org": seen("submissions://mail.example.org"),
			"imaps://mail.example.org": failing("imaps://mail.example.org"), "imap://mail.example.org": seen("imap://mail.example.org"),
		}.verify(settingstest.Provider("submission://mail.example.org", "submissions://mail.example.org", "imaps://mail.example.org", "imap://mail.example.org")), srvrecords.Options{}},
		"two-hosts-idn": {"Bücher.example", past{
			"imaps://a.xn--bcher-kva.example": seen("imaps://a.bücher.example"), "imaps://b.xn--bcher-kva.example:1993": seen("imaps://b.bücher.example:1993"), "pop3s://a.xn--bcher-kva.example": seen("pop3s://a.bücher.example"),
		}.verify(settingstest.Provider("imaps://b.bücher.example:1993", "imaps://a.bücher.example", "pop3s://a.bücher.example")), srvrecords.Options{}},
		"local-part":       {"example.org", past{"submission://smtp.example.org": seen("submission://smtp.example.org"), "imaps://imap.example.org": seen("imaps://imap.example.org")}.verify(localPart), srvrecords.Options{ConfigHost: "autoconfig.example.org"}},
		"trusted-or-local": {"example.org", past{"imaps://imap.example.org": failed("imaps://imap.example.org", settings.FailureTimeout), "imap://imap.example.org": local("imap://imap.example.org")}.verify(trusted), srvrecords.Options{}},
		"over-https": {"example.org", past{
			"jmap://mail.example.org": at("/jmap/session", "jmap://mail.example.org"), "imaps://mail.example.org": failed("imaps://mail.example.org", settings.FailureRefused),
			"caldavs://dav.example.org": at("/dav/cal", "caldavs://dav.example.org"), "caldavs://b.example.org:8443": at("/dav/cal", "caldavs://b.example.org:8443"),
			"carddavs://dav.example.org": at("/dav/card", "carddavs://dav.example.org"), "carddavs://b.example.org": at("/", "carddavs://b.example.org"),
		}.verify(settingstest.Provider("jmap://mail.example.org", "caldavs://dav.example.org", "caldavs://b.example.org:8443", "carddavs://dav.example.org", "carddavs://b.example.org")), srvrecords.Options{}},
		"over-https-unseen": {"example.org", past{
			"caldavs://dav.example.org": failed("caldavs://dav.example.org", settings.FailureWellKnown), "carddavs://dav.example.org": at("", "carddavs://dav.example.org"),
		}.verify(settingstest.Provider("caldavs://dav.example.org", "carddavs://dav.example.org")), srvrecords.Options{}},
		"nothing": {"example.org", past{}.verify(settingstest.Provider("submission://smtp.example.org", "imaps://imap.example.org")), srvrecords.Options{}},
	}
}

func TestZone(t *testing.T) {
	t.Parallel()
	for name, c := range goldens() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set := compile(t, c.result, c.domain, c.opt)
			got := string(set.Zone())
			file := filepath.Join("testdata", name+".golden")
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
				t.Errorf("zone text (-want +got):\n%s", diff)
			}
			readBack(t, set)
		})
	}
}

func compile(t testing.TB, result settings.Result, domain string, opt srvrecords.Options) srvrecords.Set {
	t.Helper()
	set, err := srvrecords.Compile(result, domain, opt)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// errorf is what a test and a property test have in common.
type errorf interface {
	Helper()
	Errorf(format string, args ...any)
}

// readBack parses the zone text and compares it with the set, record by record.
func readBack(t errorf, set srvrecords.Set) {
	t.Helper()
	var got []string
	parser := dns.NewZoneParser(strings.NewReader(string(set.Zone())), "", "")
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		got = append(got, rr.String())
	}
	if err := parser.Err(); err != nil {
		t.Errorf("parse: %v\n%s", err, set.Zone())
	}
	var want []string
	for _, rr := range set.RRs() {
		want = append(want, rr.String())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("zone text read back (-set +zone):\n%s", diff)
	}
}

func TestCompileErrors(t *testing.T) {
	t.Parallel()
	result := past{"imaps://mail.example.org": seen("imaps://mail.example.org")}.verify(settingstest.Provider("imaps://mail.example.org"))
	long := strings.Repeat("a23456789.", 24) + "example.org" // 251 octets
	cases := map[string]struct {
		domain string
		opt    srvrecords.Options
		want   string
	}{
		"no domain":           {"", srvrecords.Options{}, `records: domain "": nothing is there`},
		"an address":          {"192.0.2.1", srvrecords.Options{}, "an IP address is no mail domain"},
		"a newline":           {"example.org\n@ IN A 192.0.2.9", srvrecords.Options{}, "not a name"},
		"a long domain":       {long, srvrecords.Options{}, "_imaps._tcp." + long + " is longer than a name in DNS can be"},
		"bad host":            {"example.org", srvrecords.Options{ConfigHost: "config host"}, "records of example.org: configuration host: "},
		"an address as host":  {"example.org", srvrecords.Options{ConfigHost: "192.0.2.1"}, "configuration host: "},
		"negative TTL":        {"example.org", srvrecords.Options{TTL: -time.Hour}, "records of example.org: TTL -1h0m0s: want whole seconds"},
		"TTL below a second":  {"example.org", srvrecords.Options{TTL: time.Millisecond}, "want whole seconds"},
		"TTL of half seconds": {"example.org", srvrecords.Options{TTL: 1500 * time.Millisecond}, "want whole seconds"},
		"TTL beyond 31 bits":  {"example.org", srvrecords.Options{TTL: (1 << 31) * time.Second}, "want whole seconds"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := srvrecords.Compile(result, c.domain, c.opt)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v, want one with %q", err, c.want)
			}
		})
	}
}

// TestComments: nothing that a server or an operator has written ends a comment.
func TestComments(t *testing.T) {
	t.Parallel()
	rude := "a\n_imaps._tcp.example.org. 1 IN SRV 0 1 1 evil.example.\r\n\x00\u2028\u202e\u0085\xff ; \" ( $INCLUDE /etc/passwd " + strings.Repeat("x", 1<<20)
	s := settingstest.Service("imaps://mail.example.org")
	p := settingstest.Provider(s.String())
	p.Trusted = []settings.Trust{{Service: settingstest.Service("submission://mail.example.org"), Reason: rude}}
	o := settingstest.Failed(s, settingstest.Now, settings.FailureGreeting)
	o.Addresses[0].Failure.Detail = rude
	set := compile(t, past{s.String(): settings.Fold(o)}.verify(p), "example.org", srvrecords.Options{})
	readBack(t, set)
	for form, write := range forms {
		if diff := cmp.Diff(flat(set), readers[form](t, string(write(set)), set)); diff != "" {
			t.Errorf("read back (-set +%s):\n%s", form, diff)
		}
		if text := string(write(set)); form != "json" && strings.ContainsAny(text, "\r\x00\u0085\u2028\u202e") {
			t.Errorf("a comment of %s was broken:\n%q", form, text)
		}
	}
	zone := string(set.Zone())
	if len(zone) > 4096 {
		t.Errorf("%d octets of zone text", len(zone))
	}
	if strings.ContainsAny(zone, "\r\x00\u0085\u2028\u202e") {
		t.Errorf("a comment was broken:\n%q", zone)
	}
	for line := range strings.Lines(zone) {
		if line != "\n" && !strings.HasPrefix(line, "; ") && !strings.HasPrefix(line, "_submission._tcp.example.org. ") {
			t.Errorf("unexpected line %q", line)
		}
	}
}

// TestJSON: the data view is the set itself.
func TestJSON(t *testing.T) {
	t.Parallel()
	c := goldens()["only-2525"]
	got, err := json.MarshalIndent(compile(t, c.result, c.domain, c.opt), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	const want = `{
  "domain": "example.org",
  "records": [
    {
      "owner": "_imaps._tcp.example.org.",
      "ttl": 3600,
      "type": "SRV",
      "data": "0 1 993 mail.example.org.",
      "service": "imaps://mail.example.org:993",
      "basis": "probed",
      "why": "IMAP with implicit TLS: seen to work",
      "readers": [
        "FairEmail",
        "aerc",
        "Himalaya",
        "SnappyMail",
        "Horde",
        "Claws Mail",
        "Evolution",
        "K-9 Mail up to 6.5"
      ]
    }
  ],
  "withheld": [
    {
      "owner": "_submission._tcp.example.org.",
      "service": "submission://mail.example.org:2525",
      "reason": "SRV cannot say STARTTLS on another port than 587: FairEmail would use implicit TLS there, and SnappyMail no encryption"
    }
  ]
}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
}

// TestAliases: a name that has to hold addresses gets no CNAME.
func TestAliases(t *testing.T) {
	t.Parallel()
	p := settingstest.Provider("imaps://autodiscover.example.org") // declared, and never seen to work
	set := compile(t, past{}.verify(p), "example.org", srvrecords.Options{ConfigHost: "autoconfig.example.org."})
	records := []string{"_autodiscover._tcp.example.org. 0 1 443 autoconfig.example.org.", "ua-auto-config.example.org. autoconfig.example.org."}
	if diff := cmp.Diff(records, lines(set)); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	var withheld []string
	for _, w := range set.Withheld {
		withheld = append(withheld, w.String())
	}
	want := []string{
		"autoconfig.example.org.: it is the configuration host itself: give it an address record",
		"autodiscover.example.org.: a mail service is on this host, and the target of an SRV record must not be an alias (RFC 2782)",
		"imaps://autodiscover.example.org:993: not probed yet",
	}
	if diff := cmp.Diff(want, withheld); diff != "" {
		t.Errorf("withheld (-want +got):\n%s", diff)
	}
}

// lines returns owner and data of each record.
func lines(set srvrecords.Set) []string {
	var all []string
	for _, r := range set.Records {
		all = append(all, r.Owner+" "+r.Data)
	}
	return all
}

// TestNotOffered: "." needs the operator's word and proof for every host.
func TestNotOffered(t *testing.T) {
	t.Parallel()
	const a, b = "pop3://a.example.org:110", "pop3://b.example.org:110"
	own := settingstest.Failed(settingstest.Service(a), settingstest.Now, settings.FailureRefused)
	own.Addresses[0].Local = true
	proxied := settingstest.Failed(settingstest.Service(a), settingstest.Now, settings.FailureRefused)
	proxied.Proxied = true
	dot := []string{"_pop3._tcp.example.org. 0 0 0 ."}
	cases := map[string]struct {
		services []string
		past     past
		say      bool
		want     []string
	}{
		"refused, and said so":             {[]string{a}, past{a: failed(a, settings.FailureRefused)}, true, dot},
		"refused, and nothing said":        {[]string{a}, past{a: failed(a, settings.FailureRefused)}, false, nil},
		"said so, and not probed":          {[]string{a}, past{}, true, nil},
		"said so, and no candidate":        {[]string{"imap://a.example.org"}, past{}, true, nil},
		"a timeout":                        {[]string{a}, past{a: failed(a, settings.FailureTimeout)}, true, nil},
		"refused by our own address":       {[]string{a}, past{a: settings.Fold(own)}, true, nil},
		"refused through a proxy":          {[]string{a}, past{a: settings.Fold(proxied)}, true, nil},
		"another host refuses too":         {[]string{a, b}, past{a: failed(a, settings.FailureRefused), b: failed(b, settings.FailureRefused)}, true, dot},
		"another host does not answer":     {[]string{a, b}, past{a: failed(a, settings.FailureRefused), b: failed(b, settings.FailureTimeout)}, true, nil},
		"another host works":               {[]string{a, b}, past{a: failed(a, settings.FailureRefused), b: seen(b)}, true, []string{"_pop3._tcp.example.org. 0 1 110 b.example.org."}},
		"only an unusual port was refused": {[]string{"pop3://a.example.org:1110"}, past{"pop3://a.example.org:1110": failed("pop3://a.example.org:1110", settings.FailureRefused)}, true, nil},
		"an unusual port works":            {[]string{a, "pop3://a.example.org:1110"}, past{a: failed(a, settings.FailureRefused), "pop3://a.example.org:1110": seen("pop3://a.example.org:1110")}, true, nil},
		"it worked an hour ago":            {[]string{a}, past{a: failing(a)}, true, []string{"_pop3._tcp.example.org. 0 1 110 a.example.org."}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := settingstest.Provider(c.services...)
			if c.say {
				p.NotOffered = []settings.Role{settings.RolePOP3}
			}
			got := lines(compile(t, c.past.verify(p), "example.org", srvrecords.Options{}))
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("records (-want +got):\n%s", diff)
			}
		})
	}
}

// TestOrder: priorities follow the order of the policy.
func TestOrder(t *testing.T) {
	t.Parallel()
	policy := settings.DefaultPolicy()
	policy.SubmissionOrder = []uint16{465, 587, 2525}
	p := settingstest.Provider("submission://a.example.org", "submission://b.example.org", "submissions://a.example.org", "submission://a.example.org:465", "submission://a.example.org:25")
	histories := map[settings.Service]settings.Views{}
	for _, s := range p.Services {
		histories[s] = settings.Views{seen(s.String())}
	}
	set := compile(t, settings.Verify(p, histories, settingstest.Now, policy), "example.org", srvrecords.Options{})
	want := []string{
		"_submissions._tcp.example.org. 0 1 465 a.example.org.",
		"_submission._tcp.example.org. 10 1 587 a.example.org.",
		"_submission._tcp.example.org. 20 1 587 b.example.org.",
	}
	if diff := cmp.Diff(want, lines(set)); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}
