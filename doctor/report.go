package doctor

import (
	"fmt"
	"time"

	"mailconfd/settings"
)

// Verdict is what an examination, or one client, comes to.
type Verdict string

// The verdicts, from good to bad. Unknown is what could not be seen or tested from here: a
// client that asks its maker, a server that was busy, our own network that is down. That
// is never the domain's fault.
const (
	Works   Verdict = "works"
	Warns   Verdict = "warns"
	Unknown Verdict = "unknown"
	Fails   Verdict = "fails"
)

// Report is the result of an examination; docs/doctor.md describes its JSON.
type Report struct {
	Address string    `json:"address"`
	At      time.Time `json:"at"`
	// Verdict fails with a fault, or where no client works; it is unknown where nothing could
	// be tested, and otherwise warns with a warning and else works.
	Verdict Verdict `json:"verdict"`
	// Blind is why nothing at all could be seen: our own network, proxy or resolver does not
	// work. The rest of the report then says nothing about the domain.
	Blind    string         `json:"blind,omitempty"`
	Clients  []ClientReport `json:"clients"`  // none if there is no such domain
	Findings []Finding      `json:"findings"` // faults first, then warnings, then notes
}

// ClientReport is what one client would set up, and how it gets there.
type ClientReport struct {
	Client   string    `json:"client"` // the name by which --client chooses it
	Title    string    `json:"title"`  // for people
	Verdict  Verdict   `json:"verdict"`
	Settings []Setting `json:"settings"` // incoming first; empty: it finds nothing
	Steps    []Step    `json:"steps"`
	Findings []Finding `json:"findings"` // what concerns this client alone

	simulated bool      // it can be looked at from outside
	broken    []attempt // what is published and did not work when the client tried it
}

// Security is how a client would encrypt. Unlike settings.Security it has a word for
// not at all: clients do end there.
type Security string

// The ways. SecurityAuto is a client that tries implicit TLS and then STARTTLS.
const (
	SecurityNone     Security = "none"
	SecuritySTARTTLS Security = "starttls"
	SecurityTLS      Security = "tls"
	SecurityAuto     Security = "auto"
)

// Setting is a service that a client would set up.
type Setting struct {
	Role     settings.Role     `json:"role"`
	Host     string            `json:"host"`
	Port     uint16            `json:"port"`
	Security Security          `json:"security"`
	Username string            `json:"username"`          // what the client would log in with; "": it asks the user
	Source   string            `json:"source"`            // where it has it from: a URL, an SRV owner name, "guess"
	Misread  string            `json:"misread,omitempty"` // what the client makes of it otherwise than published, by its own fault: it is a note then if this does not work
	Works    bool              `json:"works"`             // the service was probed and does what the client needs
	Failure  *settings.Failure `json:"failure,omitempty"` // why not

	// needs are the mechanisms of which the client uses one here, whatever else it knows:
	// what a document says decides. Empty: all that the client knows.
	needs settings.Mechanisms
	// mend says what to change where none of the needs is met.
	mend string
	// meant is what was published, where the client makes another user name of it.
	meant string
}

// Service returns the service as the rest of mailconfd names it; ok is false for one
// that stays in clear.
func (s Setting) Service() (service settings.Service, ok bool) {
	schemes := map[settings.Role][2]settings.Scheme{
		settings.RoleSubmission: {settings.SchemeSubmission, settings.SchemeSubmissions},
		settings.RoleIMAP:       {settings.SchemeIMAP, settings.SchemeIMAPS},
		settings.RolePOP3:       {settings.SchemePOP3, settings.SchemePOP3S},
	}[s.Role]
	switch s.Security {
	case SecuritySTARTTLS:
		return settings.Service{Scheme: schemes[0], Host: s.Host, Port: s.Port}, true
	case SecurityTLS:
		return settings.Service{Scheme: schemes[1], Host: s.Host, Port: s.Port}, true
	default:
		return settings.Service{}, false
	}
}

// place is where a setting leads, however it is encrypted.
func (s Setting) place() string { return fmt.Sprintf("%s %s %d", s.Role, s.Host, s.Port) }

// Step is one thing that a client did, and what it saw.
type Step struct {
	Did string `json:"did"` // "GET https://…", "MX example.org", "read the document"
	Saw string `json:"saw"`
	MS  int64  `json:"ms,omitempty"`

	asked string     // the URL of a request; "": it was none
	dns   RecordType // of a question to DNS; "": it was none
	name  string     // the name of that question
}

// Weight is how much a finding matters.
type Weight string

// The weights. A fault means that mail does not work, or not safely, for somebody, by
// something that the domain's operator can mend. A note is everything else that is
// worth knowing: a client's own inability, a deliberate choice.
const (
	Fault   Weight = "fault"
	Warning Weight = "warning"
	Note    Weight = "note"
)

// Finding is something that is wrong, or worth knowing.
type Finding struct {
	Kind      Kind     `json:"kind"`
	Class     string   `json:"class,omitempty"` // of "Automatic Insecurity" (NDSS 2025), such as A1.1
	Weight    Weight   `json:"weight"`
	Affected  []string `json:"affected,omitempty"` // the clients, by title; empty: whoever asks
	People    string   `json:"people"`             // how many are likely to meet it: many, some, few
	Detail    string   `json:"detail"`             // what exactly was seen, where
	Sees      string   `json:"sees"`               // what the user of such a client notices
	Remedy    string   `json:"remedy"`             // what to change, down to the line where that is known
	Reference string   `json:"reference"`          // a specification and section, or a client and version

	about    string   // the subject, where it is not the detail: one finding for one subject
	follows  []string // the subjects of what it follows from: any of them explains it
	explains []string // the subjects of what follows from it
}
