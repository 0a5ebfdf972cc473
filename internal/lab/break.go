package lab

import (
	"fmt"
	"strings"

	"mailconfd/settings"
)

// ParseBreak reads what follows --break and the word break of the demo:
// SERVICE=FAULT, such as "submission:2525=refused" or "imaps=certificate_expired".
// SERVICE is read by ParseService; FAULT is a failure kind, with "/VARIANT" behind
// it for another way to show it. The error says what was expected, the nearest word
// first.
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
	return fmt.Errorf("no service %q%s; there are %s", word, hint(word, names), strings.Join(names, ", "))
}

// hint asks whether the nearest of the words was meant, if one is near.
func hint(word string, words []string) string {
	best, least := "", 1+len(word)/5
	for _, candidate := range words {
		if d := distance(word, candidate); d <= least {
			best, least = candidate, d-1
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %s?)", best)
}

// distance is the least number of letters to insert, delete or replace to get from a
// to b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
