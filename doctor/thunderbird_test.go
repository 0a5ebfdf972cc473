package doctor_test

import (
	"testing"

	"mailconfd/doctor"
)

const goodAutoconfig = `
-- zone --
mail.example.test. A 192.0.2.1
-- services --
imaps://mail.example.test ok
submission://mail.example.test ok
-- GET https://autoconfig.example.test/mail/config-v1.1.xml --
200 text/xml; charset=utf-8

<?xml version="1.0" encoding="UTF-8"?>
<clientConfig version="1.1">
  <emailProvider id="example.test">
    <domain>example.test</domain>
    <displayName>Example</displayName>
    <displayShortName>Example</displayShortName>
    <incomingServer type="imap">
      <hostname>mail.example.test</hostname>
      <port>993</port>
      <socketType>SSL</socketType>
      <authentication>password-cleartext</authentication>
      <username>%EMAILADDRESS%</username>
    </incomingServer>
    <outgoingServer type="smtp">
      <hostname>mail.example.test</hostname>
      <port>587</port>
      <socketType>STARTTLS</socketType>
      <authentication>password-cleartext</authentication>
      <username>%EMAILADDRESS%</username>
    </outgoingServer>
  </emailProvider>
</clientConfig>
`

func TestThunderbirdGood(t *testing.T) {
	t.Parallel()
	r := examine(t, parseWorld(t, goodAutoconfig), "jane@example.test", "thunderbird")
	const want = "imap mail.example.test:993 tls jane@example.test; submission mail.example.test:587 starttls jane@example.test"
	if got := say(r.Clients[0]); got != want || r.Clients[0].Verdict != doctor.Works {
		t.Errorf("got %q, %s, want %q; %+v", got, r.Clients[0].Verdict, want, r.Clients[0])
	}
}
