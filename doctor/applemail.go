package doctor

// appleMail is Apple Mail on macOS and iOS, and Mail's settings there. It is not
// simulated: nothing that it does can be asked for.
var appleMail = client{
	name: "apple-mail", title: "Apple Mail", read: "macOS 15.5, by what operators saw", people: "many",
	unknown: finding(KindUnknown,
		"Apple Mail asks Apple's own list of providers, and neither autoconfig nor, as far as anybody has seen, SRV; for another domain its user types the servers, or installs a configuration profile that names them",
		"offer a configuration profile (com.apple.mail.managed); it is the only way that is known to work"),
}
