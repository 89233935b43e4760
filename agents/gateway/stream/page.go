package stream

import (
	"errors"
	"io"
	"net/url"
	"slices"

	"golang.org/x/net/html"
)

// maxToken is how much of a page is looked at as one piece, a tag or the text between two. What follows a larger one is passed on unread.
const maxToken = 1 << 20 // bytes

// page reads HTML with its links changed. It holds one piece of the page at a time.
type page struct {
	io.Closer
	from   io.Reader
	tokens *html.Tokenizer
	change func(*url.URL) string
	text   []byte // changed, not read yet
	raw    io.Reader
	err    error
}

func newPage(from io.Reader, c io.Closer, change func(*url.URL) string) *page {
	t := html.NewTokenizer(from)
	t.SetMaxBuf(maxToken)
	return &page{Closer: c, from: from, tokens: t, change: change}
}

// Read is io.Reader's.
func (p *page) Read(b []byte) (int, error) {
	for len(p.text) == 0 {
		switch {
		case p.raw != nil:
			return p.raw.Read(b)
		case p.err != nil:
			return 0, p.err
		}
		p.next()
	}
	n := copy(b, p.text)
	p.text = p.text[n:]
	return n, nil
}

// next makes text of the next piece.
func (p *page) next() {
	kind := p.tokens.Next()
	p.text = p.tokens.Raw()
	switch kind {
	case html.ErrorToken:
		p.err = p.tokens.Err()
		p.text = slices.Concat(p.text, p.tokens.Buffered())
		if errors.Is(p.err, html.ErrBufferExceeded) {
			p.raw = p.from
		}
	case html.StartTagToken, html.SelfClosingTagToken:
		p.text = slices.Clone(p.text) // the token's parts are made in it
		if t := p.tokens.Token(); p.relink(&t) {
			p.text = []byte(t.String())
		}
	}
}

// relink changes the links of a tag, and tells whether any changed.
func (p *page) relink(t *html.Token) (changed bool) {
	for i, a := range t.Attr {
		if !slices.Contains(linkAttributes[t.DataAtom], a.Key) {
			continue
		}
		u, err := url.Parse(a.Val)
		if err != nil {
			continue // no link
		}
		if to := p.change(u); to != a.Val {
			t.Attr[i].Val, changed = to, true
		}
	}
	return changed
}
