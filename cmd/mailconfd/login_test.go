package main

import (
	"encoding/base64"
	"encoding/hex"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"

	"mailconfd/internal/lab"
)

// setLogins: logins SERVICE address|localpart|both|none ... says which user names log in.
func setLogins(ts *testscript.TestScript, neg bool, args []string) {
	for i := 0; i+1 < len(args); i += 2 {
		service, err := lab.ParseService(args[i])
		ts.Check(err)
		form := args[i+1]
		ts.Check(internetOf(ts).SetLogins(service, lab.Logins{
			Address: form == "address" || form == "both", LocalPart: form == "localpart" || form == "both",
		}))
	}
}

// crash: crash lets the commands in the background die as a panic does, with the stacks
// of all goroutines.
func crash(ts *testscript.TestScript, neg bool, args []string) {
	for _, job := range ts.BackgroundCmds() {
		ts.Check(job.Process.Signal(syscall.SIGQUIT))
	}
}

// leakless: leakless FILE ... fails if the password of the lab's user stands in one of the
// files, or in a file below one that is a folder, in whatever form.
func leakless(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args {
		files := 0
		ts.Check(filepath.WalkDir(ts.MkAbs(name), func(file string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			text, err := os.ReadFile(file)
			if form := leak(string(text)); form != "" {
				ts.Fatalf("%s holds %q", file, form)
			}
			files++
			return err
		}))
		if files == 0 {
			ts.Fatalf("%s holds nothing", name)
		}
	}
}

// leak returns the form in which a text holds the password, or "".
func leak(text string) string {
	forms := []string{lab.Password, url.QueryEscape(lab.Password), url.PathEscape(lab.Password), hex.EncodeToString([]byte(lab.Password))}
	for shift, start := range []int{0, 2, 3} { // what stands before shifts the letters of Base64
		encoded := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("\x00", shift) + lab.Password))
		forms = append(forms, encoded[start:(shift+len(lab.Password))*8/6])
	}
	for _, form := range forms {
		if strings.Contains(text, form) {
			return form
		}
	}
	return ""
}
