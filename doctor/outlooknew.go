package doctor

// newOutlook is the new Outlook for Windows, Outlook for Mac and those for telephones.
// They are not simulated: Microsoft's servers look for the settings.
var newOutlook = client{
	name: "outlook-new", title: "Outlook (new, Mac, mobile)", read: "2026, by what operators saw", people: "many",
	unknown: finding(KindUnknown,
		"the new Outlook, and Outlook for Mac and telephones, send the address to Microsoft's AutoDetect service, which looks for the servers and remembers what it found for a domain; it is known to ask for Autodiscover's JSON, not known whether it reads IMAP from Autodiscover's XML, autoconfig or SRV; the password goes to Microsoft too",
		"answer Microsoft's addresses as anybody's, with 404 for autodiscover.json; then try it by hand, and after a change of servers again some days later"),
}
