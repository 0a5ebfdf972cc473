package config

import (
	"fmt"
	"strings"
)

// Problem is one thing that is wrong with a configuration, or worth a warning.
type Problem struct {
	File string // "" where it is not in the file
	Line int    // counted from 1; 0 where it is not known
	Key  string // the key's path, a variable, a flag with its dashes, or ""
	Text string // what was seen, what was expected
}

// String returns "FILE:LINE: KEY: TEXT", less what is not known.
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File)
		if p.Line > 0 {
			fmt.Fprintf(&b, ":%d", p.Line)
		}
		b.WriteString(": ")
	}
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	return b.String() + p.Text
}

// Error is a configuration that cannot be used.
type Error struct {
	Problems []Problem // at least one; those of the file first, by line
}

// maxPrinted is how many problems Error's text names.
const maxPrinted = 50

// Error returns a line for each problem, or for the first of very many.
func (e *Error) Error() string {
	lines := make([]string, 0, min(len(e.Problems), maxPrinted)+1)
	for i, p := range e.Problems {
		if i == maxPrinted {
			lines = append(lines, fmt.Sprintf("and at least %d more", len(e.Problems)-maxPrinted))
			break
		}
		lines = append(lines, p.String())
	}
	return strings.Join(lines, "\n")
}

// didYouMean returns "; did you mean X?" where a word is close to one of those taken.
func didYouMean(word string, taken []string) string {
	if near := nearest(word, taken); near != "" {
		return fmt.Sprintf("; did you mean %s?", plain(near))
	}
	return ""
}

// nearest returns the word of the list that has the least typing mistakes between it
// and the given one, letter case not counted; "" when that would be a guess.
func nearest(word string, taken []string) string {
	best, least := "", 1+min(len(word)/3, 3)
	for _, t := range taken {
		if n := mistakes(strings.ToLower(clip(word)), strings.ToLower(t)); n < least {
			best, least = t, n
		}
	}
	return best
}

// mistakes counts letters that are missing, too many, wrong, or swapped with their
// neighbour: the optimal string alignment distance.
func mistakes(a, b string) int {
	before, above, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range above {
		above[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			wrong := 1
			if a[i-1] == b[j-1] {
				wrong = 0
			}
			row[j] = min(above[j]+1, row[j-1]+1, above[j-1]+wrong)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, above, row = above, row, before
	}
	return above[len(b)]
}
