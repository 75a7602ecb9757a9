package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/cyberphone/json-canonicalization/go/src/webpki.org/jsoncanonicalizer"
)

// A record is what an exported line says, with the leaf that its bytes have.
type record struct {
	origin    string
	leafIndex uint64
	leaf      []byte
}

// members of a line, by kind; the second list may be missing.
var members = map[string][2][]string{
	"record": {{"offset", "timestamp", "key", "headers", "value"}, {"deadLetter"}},
	"gap":    {{"from", "to"}, {}},
	"batch":  {{"firstOffset", "lastOffset", "timestamp", "bytes"}, {"deadLetter"}},
}

// line is a parsed line; its methods remember the first thing that is wrong.
type line struct {
	values map[string]json.RawMessage
	err    error
}

// readRecord reads a line and computes its leaf as docs/evidence.md says.
func readRecord(text string) (*record, error) {
	if !utf8.ValidString(text) {
		return nil, errors.New("the record is not UTF-8")
	}
	canonical, err := jsoncanonicalizer.Transform([]byte(text))
	if err != nil {
		return nil, err
	}
	if string(canonical) != text {
		return nil, errors.New("the record is not canonical JSON")
	}
	l := &line{}
	if err := json.Unmarshal(canonical, &l.values); err != nil {
		return nil, err
	}
	l.checkMembers()
	l.require(l.text("format") == "streaming-ingest/record@v1", "format")
	r := &record{origin: l.text("origin"), leafIndex: l.index("leafIndex")}
	l.require(r.origin != "" && strings.IndexFunc(r.origin, unicode.IsControl) < 0, "origin")
	l.checkStatements()
	r.leaf = l.leaf()
	claimed := l.text("leaf")
	l.require(claimed == hex.EncodeToString(r.leaf), "leaf")
	return r, l.err
}

func (l *line) require(ok bool, name string) {
	if !ok && l.err == nil {
		l.err = fmt.Errorf("the record has no such %s", name)
	}
}

func (l *line) checkMembers() {
	own, ok := members[l.text("kind")]
	l.require(ok, "kind")
	needed := append([]string{"format", "origin", "leafIndex", "leaf", "kind"}, own[0]...)
	for _, name := range needed {
		_, there := l.values[name]
		l.require(there, name)
	}
	for name := range l.values {
		known := slices.Contains(needed, name) || slices.Contains(own[1], name) || name == "ingestedAt"
		l.require(known, "member")
	}
}

var (
	integer = regexp.MustCompile(`^-?(0|[1-9][0-9]{0,15})$`)
	code    = regexp.MustCompile(`^[A-Z][A-Z0-9_]{0,63}$`)
)

// checkStatements looks at what no leaf covers.
func (l *line) checkStatements() {
	if raw, there := l.values["ingestedAt"]; there {
		n, err := strconv.ParseInt(string(raw), 10, 64)
		l.require(integer.Match(raw) && err == nil && n <= 1<<53-1 && n >= -(1<<53-1), "ingestedAt")
	}
	if raw, there := l.values["deadLetter"]; there {
		var reason map[string]json.RawMessage
		if err := json.Unmarshal(raw, &reason); err != nil || reason == nil {
			l.require(false, "deadLetter")
			return
		}
		inner := &line{values: reason}
		detail := inner.text("detail")
		inner.require(len(reason) == 2 && code.MatchString(inner.text("code")), "deadLetter")
		inner.require(len(utf16.Encode([]rune(detail))) <= 1000, "deadLetter")
		l.require(inner.err == nil, "deadLetter")
	}
}

func (l *line) text(name string) string {
	raw := l.values[name]
	var text string
	if len(raw) == 0 || raw[0] != '"' || json.Unmarshal(raw, &text) != nil {
		l.require(false, name)
	}
	return text
}

func (l *line) index(name string) uint64 {
	n, err := parseSize(l.text(name))
	l.require(err == nil, name)
	return n
}

func (l *line) int64(name string) int64 {
	text := l.text(name)
	n, err := strconv.ParseInt(text, 10, 64)
	l.require(err == nil && strconv.FormatInt(n, 10) == text, name)
	return n
}

func (l *line) bytes(name string) []byte {
	text := l.text(name)
	decoded, err := base64.StdEncoding.Strict().DecodeString(text)
	l.require(err == nil && base64.StdEncoding.EncodeToString(decoded) == text, name)
	return decoded
}

// field appends the length of a member's bytes, −1 for null, and what stands for the bytes.
func (l *line) field(to []byte, name string, content func([]byte) []byte) []byte {
	if string(l.values[name]) == "null" {
		return binary.BigEndian.AppendUint32(to, 0xffffffff)
	}
	value := l.bytes(name)
	return append(binary.BigEndian.AppendUint32(to, uint32(len(value))), content(value)...)
}

func itself(value []byte) []byte { return value }

func hashed(value []byte) []byte {
	sum := sha256.Sum256(value)
	return sum[:]
}

func (l *line) leaf() []byte {
	number := func(to []byte, n int64) []byte { return binary.BigEndian.AppendUint64(to, uint64(n)) }
	var data []byte
	switch l.text("kind") {
	case "record":
		data = number([]byte{0, 1, 1}, int64(l.index("offset")))
		data = number(data, l.int64("timestamp"))
		data = l.field(data, "key", itself)
		l.require(string(l.values["headers"]) != "null", "headers")
		data = l.field(data, "headers", itself)
		data = l.field(data, "value", hashed)
	case "gap":
		from, to := l.index("from"), l.index("to")
		l.require(from < to, "to")
		data = number(number([]byte{0, 1, 2}, int64(from)), int64(to))
	case "batch":
		first, last := l.index("firstOffset"), l.index("lastOffset")
		l.require(first <= last, "lastOffset")
		data = number(number([]byte{0, 1, 3}, int64(first)), int64(last))
		data = number(data, l.int64("timestamp"))
		l.require(string(l.values["bytes"]) != "null", "bytes")
		data = l.field(data, "bytes", hashed)
	}
	return hashed(data)
}
