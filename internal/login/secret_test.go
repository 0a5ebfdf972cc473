package login_test

import (
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"strings"

	"mailconfd/internal/login"
)

// hidden returns what of the password stands in a text: in clear, as it goes over a wire,
// or as a library could write it; "" when nothing does.
func hidden(text string, password string) string {
	forms := []string{password, url.QueryEscape(password), url.PathEscape(password), hex.EncodeToString([]byte(password))}
	// In Base64 the letters depend on how many octets stand before: there are three ways.
	// The letters at either end that hold bits of something else are left out.
	for shift, start := range []int{0, 2, 3} {
		encoded := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("\x00", shift) + password))
		forms = append(forms, encoded[start:(shift+len(password))*8/6])
	}
	for _, form := range forms {
		if strings.Contains(text, form) {
			return form
		}
	}
	return ""
}

// secretive is an account with a password that can be looked for.
func secretive(a login.Account) (login.Account, string) {
	const password = "s3cret & Geheimnis €"
	return login.NewAccount(a.Address(), password), password
}
