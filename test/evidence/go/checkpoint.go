package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strings"

	tlog "github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/note"
)

// trust is whose word is taken for which log.
type trust struct {
	keys []note.Verifier
	// origin is the one that is expected; empty for any that the name of a key stands above.
	origin string
}

func (t trust) answers(key note.Verifier, origin string) bool {
	if t.origin != "" {
		return t.origin == origin
	}
	return origin == key.Name() || strings.HasPrefix(origin, key.Name()+"/")
}

// openCheckpoint returns a checkpoint that a trusted key signed for its origin.
func openCheckpoint(signed []byte, t trust) (*tlog.Checkpoint, error) {
	opened, err := note.Open(signed, note.VerifierList(t.keys...))
	if err != nil {
		return nil, err
	}
	if err := checkSpelling(signed, opened.Text); err != nil {
		return nil, err
	}
	origin, _, _ := strings.Cut(opened.Text, "\n")
	for _, signature := range opened.Sigs {
		for i, key := range t.keys {
			if key.Name() != signature.Name || key.KeyHash() != signature.Hash || !t.answers(key, origin) {
				continue
			}
			others := append(append([]note.Verifier{}, t.keys[:i]...), t.keys[i+1:]...)
			checkpoint, extensions, _, err := tlog.ParseCheckpoint(signed, origin, key, others...)
			if err != nil {
				return nil, err
			}
			return checkpoint, checkBody(checkpoint, extensions, opened.Text)
		}
	}
	return nil, errors.New("no key that signed it answers for the origin")
}

// checkBody refuses what the library reads although the specification does not allow it.
func checkBody(checkpoint *tlog.Checkpoint, extensions []byte, text string) error {
	if text != string(checkpoint.Marshal())+string(extensions) {
		return errors.New("the checkpoint is not written as it must be")
	}
	if len(checkpoint.Hash) != 32 || checkpoint.Size > math.MaxInt64 {
		return errors.New("the checkpoint has no root of 32 bytes or too large a size")
	}
	for _, line := range bytes.SplitAfter(extensions, []byte("\n")) {
		if string(line) == "\n" {
			return errors.New("the checkpoint has an empty extension line")
		}
	}
	return nil
}

// checkSpelling admits one base64 for the bytes of a signature: note.Open takes any pad bits.
func checkSpelling(signed []byte, text string) error {
	for _, line := range linesOf(string(signed[len(text)+1:])) {
		encoded := line[strings.LastIndex(line, " ")+1:]
		if _, err := base64.StdEncoding.Strict().DecodeString(encoded); err != nil {
			return fmt.Errorf("a signature line: %w", err)
		}
	}
	return nil
}
