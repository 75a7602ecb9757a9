// Command evidence judges the same files as `pnpm evidence verify`, with libraries that this project did not write:
// golang.org/x/mod (notes), github.com/transparency-dev (checkpoints, proof files, Merkle proofs), a canonical JSON and a
// DSSE of others. Leaves are computed from docs/evidence.md by code of its own.
//
// It reads cases from stdin, one JSON object a line, and writes a verdict for each, one JSON object a line.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"log"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"
)

// A testCase is a file with what is believed about it, or a producer's signature.
type testCase struct {
	File   []byte   `json:"file"`
	Event  []byte   `json:"event"`
	Keys   []string `json:"keys"`
	Origin string   `json:"origin"`

	// Signature is a DSSE envelope without its payload.
	Signature string `json:"signature"`
	Payload   []byte `json:"payload"`
}

type verdict struct {
	OK     bool   `json:"ok"`
	What   string `json:"what,omitempty"`
	Detail string `json:"detail,omitempty"`
}

func main() {
	in := bufio.NewReader(os.Stdin)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	decoder, encoder := json.NewDecoder(in), json.NewEncoder(out)
	for decoder.More() {
		var c testCase
		if err := decoder.Decode(&c); err != nil {
			log.Fatalf("a case cannot be read: %v", err)
		}
		v := verdict{OK: true}
		var err error
		if v.What, err = judge(c); err != nil {
			v = verdict{Detail: err.Error()}
		}
		if err := encoder.Encode(v); err != nil {
			log.Fatalf("a verdict cannot be written: %v", err)
		}
	}
}

func judge(c testCase) (string, error) {
	if c.Signature != "" {
		return "signature", verifyProducer(c)
	}
	trust := trust{origin: c.Origin}
	for _, text := range c.Keys {
		key, err := note.NewVerifier(text)
		if err != nil {
			return "", err
		}
		trust.keys = append(trust.keys, key)
	}
	if !utf8.Valid(c.File) {
		return "", errors.New("the file is not UTF-8")
	}
	switch {
	case bytes.HasPrefix(c.File, []byte("c2sp.org/tlog-proof@v1\n")):
		return "inclusion", verifyInclusion(c.File, c.Event, trust)
	case bytes.HasPrefix(c.File, []byte(consistencyHeader+"\n")):
		return "consistency", verifyConsistency(string(c.File), trust)
	case bytes.HasPrefix(c.File, []byte("{")):
		return "records", verifyRecords(string(c.File))
	case bytes.Contains(c.File, []byte("\n\n— ")):
		_, err := openCheckpoint(c.File, trust)
		return "checkpoint", err
	}
	return "", errors.New("this is no evidence")
}

func verifyRecords(text string) error {
	for _, line := range linesOf(text) {
		if _, err := readRecord(line); err != nil {
			return err
		}
	}
	return nil
}

func linesOf(text string) []string {
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}
