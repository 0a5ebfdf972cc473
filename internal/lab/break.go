package lab

import (
	"fmt"
	"strings"

	"mailconfd/settings"
)

// ParseBreak reads what follows --break and the word break of the demo:
// SERVICE=FAULT, such as "submission:2525=refused" or "imaps=certificate_expired".
// SERVICE is read by ParseService; FAULT is a failure kind, with "/VARIANT" behind
// it for another way to show it. The error says what was expected.
func ParseBreak(words string) (settings.Service, Fault, error) {
	serviceWord, faultWord, both := strings.Cut(words, "=")
	if !both {
		return settings.Service{}, Fault{}, fmt.Errorf("break %q: want SERVICE=FAULT, such as submission:2525=refused", words)
	}
	service, err := ParseService(serviceWord)
	if err != nil {
		return settings.Service{}, Fault{}, fmt.Errorf("break %q: %w", words, err)
	}
	kind, variant, _ := strings.Cut(strings.TrimSpace(faultWord), "/")
	fault := Fault{settings.FailureKind(kind), variant}
	if err := fault.check(service.Security()); err != nil {
		return settings.Service{}, Fault{}, fmt.Errorf("break %q: %w", words, err)
	}
	return service, fault, nil
}

// ParseService reads the short name of one of the lab's services: a scheme for its
// default port, "submission:2525" for the other one. The whole URL is taken too.
func ParseService(word string) (settings.Service, error) {
	word = strings.ToLower(strings.TrimSpace(word))
	if service, err := settings.ParseService(word); err == nil && service.Host == Host {
		word = service.String()
	}
	for _, service := range settings.Candidates(Host) {
		if word == shortName(service) || word == service.String() ||
			word == fmt.Sprintf("%s:%d", service.Scheme, service.Port) {
			return service, nil
		}
	}
	return settings.Service{}, unknownService(word)
}

// shortName is how the lab's users call a service.
func shortName(service settings.Service) string {
	if service.OnDefaultPort() {
		return string(service.Scheme)
	}
	return fmt.Sprintf("%s:%d", service.Scheme, service.Port)
}

func unknownService(word string) error {
	var names []string
	for _, service := range settings.Candidates(Host) {
		names = append(names, shortName(service))
	}
	return fmt.Errorf("no service %q; there are %s", word, strings.Join(names, ", "))
}
