//go:build real

package real

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// setting is a server as a mail client would set it up, in the words of the format that it was read from.
type setting struct {
	Type, Host, Port, Security, Authentication, User string
}

// request is what a client asks mailconfd.
type request struct {
	method, path, host, body string
}

// autoconfigRequest is what Thunderbird 153 asks first for jane@example.test.
var autoconfigRequest = request{
	method: http.MethodGet,
	path:   "/mail/config-v1.1.xml?emailaddress=jane%40example.test",
	host:   "autoconfig.example.test",
}

// autodiscoverRequest is what Outlook posts for jane@example.test ([MS-OXDSCLI], the POX request).
var autodiscoverRequest = request{
	method: http.MethodPost,
	path:   "/autodiscover/autodiscover.xml",
	host:   "autodiscover.example.test",
	body: `<?xml version="1.0" encoding="utf-8"?>
<Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006">
  <Request>
    <EMailAddress>jane@example.test</EMailAddress>
    <AcceptableResponseSchema>http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a</AcceptableResponseSchema>
  </Request>
</Autodiscover>
`,
}

// fetch returns the answer's body; any status but 200 is an error.
func fetch(r request) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second) // what Thunderbird waits
	defer cancel()
	asked, err := http.NewRequestWithContext(ctx, r.method, "http://"+publicAddress+r.path, strings.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	asked.Host = r.host
	if r.body != "" {
		asked.Header.Set("Content-Type", "text/xml; charset=utf-8")
	}
	response, err := http.DefaultClient.Do(asked)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s %s: %s: %s", r.method, r.path, response.Status, body)
	}
	return body, nil
}

// readAutoconfig reads the servers of an autoconfig document, in their order. The reading is our own and shares
// nothing with the program that wrote it.
func readAutoconfig(document []byte) ([]setting, error) {
	type server struct {
		Type           string `xml:"type,attr"`
		Hostname       string `xml:"hostname"`
		Port           string `xml:"port"`
		SocketType     string `xml:"socketType"`
		Authentication string `xml:"authentication"`
		Username       string `xml:"username"`
	}
	var config struct {
		XMLName  xml.Name `xml:"clientConfig"`
		Incoming []server `xml:"emailProvider>incomingServer"`
		Outgoing []server `xml:"emailProvider>outgoingServer"`
	}
	if err := xml.Unmarshal(document, &config); err != nil {
		return nil, err
	}
	var settings []setting
	for _, s := range append(config.Incoming, config.Outgoing...) {
		settings = append(settings, setting{s.Type, s.Hostname, s.Port, s.SocketType, s.Authentication, s.Username})
	}
	return settings, nil
}

// readAutodiscover reads the protocols of an Autodiscover response, in their order. Security is the pair of the
// elements SSL and Encryption, which clients read together; Authentication is SPA.
func readAutodiscover(document []byte) ([]setting, error) {
	var response struct {
		XMLName   xml.Name `xml:"http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006 Autodiscover"`
		Protocols []struct {
			Type       string
			Server     string
			Port       string
			LoginName  string
			SPA        string
			SSL        string
			Encryption string
		} `xml:"Response>Account>Protocol"`
	}
	if err := xml.Unmarshal(document, &response); err != nil {
		return nil, err
	}
	var settings []setting
	for _, p := range response.Protocols {
		settings = append(settings, setting{p.Type, p.Server, p.Port, p.SSL + "/" + p.Encryption, "SPA " + p.SPA, p.LoginName})
	}
	return settings, nil
}
