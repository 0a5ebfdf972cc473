package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"mailconfd/internal/overview"
)

// The bounds of a question to another process.
const (
	askTime = 15 * time.Second
	askSize = 64 << 20
)

// Ask asks the admin listener of a running mailconfd, at a URL such as
// http://127.0.0.1:9090, for the page of its report that tells the worst. It returns the
// report also as it came, and otherwise an error that says what to do.
func Ask(ctx context.Context, admin string) (r overview.Report, body []byte, err error) {
	base, err := url.Parse(admin)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return r, nil, fmt.Errorf("%.200q: want the URL of the admin listener, such as http://127.0.0.1:9090", admin)
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	where := base.JoinPath("/api/v1/services")
	where.RawQuery = url.Values{"limit": {fmt.Sprint(overview.MaxLimit)}}.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, where.String(), http.NoBody)
	if err != nil {
		return r, nil, fmt.Errorf("ask %s: %w", base.Redacted(), err)
	}
	transport := &http.Transport{DisableKeepAlives: true} // no proxy of the environment's: it is our own machine, mostly
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	if err != nil {
		return r, nil, explain(base, err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err = io.ReadAll(io.LimitReader(response.Body, askSize+1))
	switch {
	case err != nil:
		return r, nil, fmt.Errorf("ask %s: the answer did not arrive whole: %w", base.Redacted(), err)
	case len(body) > askSize:
		return r, nil, fmt.Errorf("ask %s: the answer is larger than %d bytes", base.Redacted(), askSize)
	case response.StatusCode != http.StatusOK || !strings.HasPrefix(response.Header.Get("Content-Type"), "application/json"):
		return r, nil, fmt.Errorf("ask %s: what answers there (%s) is not the admin listener of this version of mailconfd; see admin_listen, or give --admin URL", base.Redacted(), response.Status)
	}
	if err := json.Unmarshal(body, &r); err != nil {
		return r, nil, fmt.Errorf("ask %s: the answer cannot be read: %w", base.Redacted(), err)
	}
	return r, body, nil
}

// explain says why nobody answered, and what to do.
func explain(base *url.URL, err error) error {
	var inner *url.Error
	if errors.As(err, &inner) {
		err = inner.Err // the URL is said once
	}
	hint := "is it the address of the admin listener? see admin_listen, or give --admin URL"
	if errors.Is(err, syscall.ECONNREFUSED) {
		hint = "is mailconfd serve running, with this admin_listen? else give --admin URL"
	}
	return fmt.Errorf("ask %s: %w; %s", base.Redacted(), err, hint)
}
