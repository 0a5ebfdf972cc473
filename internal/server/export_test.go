package server

// What the tests need to see of the parsers.
var (
	QueryAddress = queryAddress
	HostName     = hostName
	Readings     = readings
)

// Reply is a line of the table of outcomes.
type Reply struct {
	Status int
	Text   string
}

// Replies returns the table.
func Replies() []Reply {
	var all []Reply
	for o := range outcomes {
		all = append(all, Reply{replies[o].status, result{outcome: o, domain: "example.org", detail: "(what was wrong)"}.text()})
	}
	return all
}
