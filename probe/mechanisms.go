package probe

import (
	"slices"
	"strings"

	"mailconfd/settings"
)

// maxMechanisms is how many mechanisms of a server are kept.
const maxMechanisms = 32

// mechanismsOf returns SASL mechanism names in upper case, each once, in the server's
// order. What cannot be a name (RFC 4422 section 3.1) is dropped.
func mechanismsOf(words []string) settings.Mechanisms {
	var all settings.Mechanisms
	for _, word := range words {
		name := strings.ToUpper(word)
		if isMechanism(name) && !has(all, name) && len(all) < maxMechanisms {
			all = append(all, name)
		}
	}
	return all
}

func isMechanism(name string) bool {
	strange := func(r rune) bool {
		return (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}
	return name != "" && len(name) <= 20 && strings.IndexFunc(name, strange) < 0
}

func has(all settings.Mechanisms, name string) bool { return slices.Contains(all, name) }

// inClear says which of the mechanisms, offered before TLS, would show a password to
// everybody on the way; "" if none would.
func inClear(all settings.Mechanisms) string {
	var open []string
	for _, name := range all {
		if name == "PLAIN" || name == "LOGIN" || name == "USER" {
			open = append(open, name)
		}
	}
	if len(open) == 0 {
		return ""
	}
	return "offered before TLS: " + strings.Join(open, " ")
}

// later tells whether a server's refusal is one for the moment. Servers that are older
// than the response codes say it in words only.
func later(code, text string) bool {
	switch strings.ToUpper(code) {
	case "UNAVAILABLE", "INUSE", // IMAP, RFC 5530
		"SYS/TEMP", "IN-USE", "LOGIN-DELAY", // POP3, RFC 3206 and RFC 2449
		"TRYLATER": // ManageSieve, RFC 5804 section 1.3
		return true
	case "SYS/PERM": // RFC 3206
		return false
	}
	text = strings.ToLower(text)
	return slices.ContainsFunc([]string{"too many", "try again", "later", "temporar", "busy"}, func(words string) bool {
		return strings.Contains(text, words)
	})
}
