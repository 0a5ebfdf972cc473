package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

var durationType = reflect.TypeFor[time.Duration]()

// parse reads a value as a variable, a flag or a default has it: lists with commas.
func (f field) parse(text string, v reflect.Value) error {
	if f.typ.Kind() != reflect.Slice {
		return f.parseOne(text, v)
	}
	list := reflect.MakeSlice(f.typ, 0, 1)
	for item := range strings.SplitSeq(text, ",") {
		if strings.TrimSpace(item) == "" {
			continue
		}
		one := reflect.New(f.typ.Elem()).Elem()
		if err := f.parseOne(strings.TrimSpace(item), one); err != nil {
			return err
		}
		list = reflect.Append(list, one)
	}
	v.Set(list)
	return f.tooMany(list.Len())
}

// parseOne reads a single value, or one item of a list.
func (f field) parseOne(text string, v reflect.Value) error {
	switch {
	case v.Type() == durationType:
		d, err := parseTime(text)
		v.SetInt(int64(d))
		return err
	case v.Kind() == reflect.String:
		v.SetString(text)
		return f.checkWord(text)
	case v.Kind() == reflect.Bool:
		if text != "true" && text != "false" {
			return fmt.Errorf("%s: want true or false", quote(text))
		}
		v.SetBool(text == "true")
		return nil
	case v.Kind() == reflect.Uint16:
		n, err := strconv.ParseUint(text, 10, 16)
		v.SetUint(n)
		return orElse(err, "%s: want a number from 0 to 65535", quote(text))
	default:
		n, err := strconv.ParseInt(text, 10, 32)
		v.SetInt(n)
		return orElse(err, "%s: want a whole number such as 3", quote(text))
	}
}

// orElse replaces an error by one that people understand.
func orElse(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format, args...)
}

// parseTime refuses a bare number: mapstructure's hook, which viper offers for times,
// takes 5 for five nanoseconds.
func parseTime(text string) (time.Duration, error) {
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		return 0, fmt.Errorf("%s what? want %[1]ss, %[1]sm or %[1]sh", clip(text))
	}
	d, err := time.ParseDuration(text)
	return d, orElse(err, "%s: want a time such as 15m or 1h30m", quote(text))
}

// checkWord refuses a text that is none of those that the key takes.
func (f field) checkWord(text string) error {
	taken := f.words("enum")
	switch {
	case taken == nil || slices.Contains(taken, text):
		return nil
	case slices.Contains(f.words("later"), text):
		return fmt.Errorf("%s is not in this version; want %s", text, strings.Join(taken, " or "))
	}
	return errors.New(quote(text) + ": want " + strings.Join(taken, " or ") + didYouMean(text, taken))
}

// wanted says what a key of the type takes.
func wanted(t reflect.Type) string {
	switch {
	case t == durationType:
		return "a time such as 15m or 1h30m"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.String:
		return "a text"
	case t.Kind() == reflect.Struct:
		var names []string
		for _, f := range fieldsOf(t) {
			names = append(names, f.name)
		}
		return "the keys " + strings.Join(names, ", ")
	case t.Kind() != reflect.Slice:
		return "a whole number such as 3"
	case t.Elem().Kind() == reflect.Struct:
		return "a list of entries, each with " + wanted(t.Elem())
	case t.Elem().Kind() == reflect.String:
		return `a list of texts such as ["a", "b"]`
	default:
		return "a list of numbers such as [1, 2]"
	}
}

// literal writes a value as it stands in the file.
func literal(v reflect.Value) string {
	switch {
	case v.Type() == durationType:
		text := v.Interface().(time.Duration).String() // "1h0m0s"
		for _, rest := range []string{"m0s", "h0m"} {
			if strings.HasSuffix(text, rest) {
				text = text[:len(text)-2]
			}
		}
		return text
	case v.Kind() == reflect.String:
		return strconv.Quote(v.String())
	case v.Kind() == reflect.Slice:
		items := make([]string, v.Len())
		for i := range items {
			items[i] = literal(v.Index(i))
		}
		return "[" + strings.Join(items, ", ") + "]"
	default:
		return fmt.Sprint(v.Interface())
	}
}

// Texts in messages are cut after so many characters.
const maxShown = 80

// clip shortens a text for a message.
func clip(text string) string {
	if runes := []rune(text); len(runes) > maxShown {
		return string(runes[:maxShown]) + "…"
	}
	return text
}

// quote shows a text in a message, control characters escaped.
func quote(text string) string { return strconv.Quote(clip(text)) }

// plain is quote without the quotes.
func plain(text string) string {
	text = quote(text)
	return text[1 : len(text)-1]
}
