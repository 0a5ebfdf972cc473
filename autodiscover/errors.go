package autodiscover

import "strconv"

// Code is the protocol's own number for a refusal ([MS-ASCMD] section 2.2.3.64).
type Code int

// The codes.
const (
	InvalidRequest Code = 600 // the request cannot be understood
	NoProvider     Code = 601 // nobody here answers for that address, or in that schema
)

// String returns the message that stands beside the code.
func (c Code) String() string {
	if c == NoProvider {
		return "Provider is not available"
	}
	return "Invalid Request"
}

// Error is why a request is refused: the one type of error that ParseRequest returns.
type Error struct {
	Code   Code
	Reason string // what was expected and seen, in one printable line of at most a few hundred bytes
}

// Error says it to a person.
func (e *Error) Error() string { return "autodiscover request: " + e.Reason }

// AppendError appends the protocol's error document and returns the extended slice. The
// bytes depend on the code alone: Time and Id, by which Exchange tells when and on which
// server it refused, are optional in [MS-ASCMD] section 2.2.3.63 and read by no client
// known; they are kept, as zeros, for readers that expect to find them. DebugData is
// empty, as Exchange sends it.
func AppendError(dst []byte, c Code) []byte {
	dst = append(dst, `<?xml version="1.0" encoding="utf-8"?>
<Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006">
  <Response>
    <Error Time="00:00:00.0000000" Id="0">
      <ErrorCode>`...)
	dst = strconv.AppendInt(dst, int64(c), 10)
	dst = append(dst, "</ErrorCode>\n      <Message>"...)
	dst = append(dst, c.String()...)
	return append(dst, `</Message>
      <DebugData />
    </Error>
  </Response>
</Autodiscover>
`...)
}
