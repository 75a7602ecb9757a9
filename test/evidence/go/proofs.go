package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	tlogproof "github.com/transparency-dev/formats/proof"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
)

const consistencyHeader = "streaming-ingest/consistency-proof@v1"

func verifyInclusion(file, event []byte, t trust) error {
	var p tlogproof.TLogProof
	if err := p.Unmarshal(file); err != nil {
		return err
	}
	// The library forgives carriage returns, leading zeros and pad bits.
	if !bytes.Equal(p.Marshal(), file) {
		return errors.New("the proof is not written as it must be")
	}
	checkpoint, err := openCheckpoint(p.Checkpoint, t)
	if err != nil {
		return err
	}
	if event == nil {
		event = p.ExtraData
	}
	r, err := findRecord(string(event), p.Index)
	if err != nil {
		return err
	}
	if r.origin != checkpoint.Origin || r.leafIndex != p.Index {
		return errors.New("the record is another one than the proof is for")
	}
	hashes := make([][]byte, len(p.Hashes))
	for i := range p.Hashes {
		hashes[i] = p.Hashes[i][:]
	}
	return proof.VerifyInclusion(
		rfc6962.DefaultHasher, p.Index, checkpoint.Size, r.leaf, hashes, checkpoint.Hash)
}

// findRecord returns the record of an index among lines; a single line is taken for it.
func findRecord(text string, index uint64) (*record, error) {
	lines := linesOf(text)
	for _, line := range lines {
		r, err := readRecord(line)
		if err != nil || r.leafIndex == index || len(lines) == 1 {
			return r, err
		}
	}
	return nil, fmt.Errorf("there is no record of leaf %d", index)
}

func verifyConsistency(file string, t trust) error {
	parts := strings.Split(file, "\n\n")
	if len(parts) != 6 || parts[0] != consistencyHeader {
		return errors.New("this is no consistency proof")
	}
	older, err := openCheckpoint([]byte(parts[1]+"\n\n"+parts[2]+"\n"), t)
	if err != nil {
		return err
	}
	newer, err := openCheckpoint([]byte(parts[4]+"\n\n"+parts[5]), t)
	if err != nil {
		return err
	}
	lines := strings.Split(parts[3], "\n")
	size, err := parseSize(strings.TrimPrefix(lines[0], "old "))
	if err != nil || !strings.HasPrefix(lines[0], "old ") {
		return errors.New("there is no old size")
	}
	var hashes [][]byte
	for _, line := range lines[1:] {
		hash, err := base64.StdEncoding.Strict().DecodeString(line)
		if err != nil || base64.StdEncoding.EncodeToString(hash) != line {
			return errors.New("a hash is not base64")
		}
		hashes = append(hashes, hash)
	}
	if older.Origin != newer.Origin || older.Size != size || size == 0 {
		return errors.New("the checkpoints do not belong to the proof, or it says nothing")
	}
	return proof.VerifyConsistency(
		rfc6962.DefaultHasher, older.Size, newer.Size, hashes, older.Hash, newer.Hash)
}

// parseSize reads a decimal number without sign and leading zeros, below 2^63.
func parseSize(text string) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n > math.MaxInt64 || strconv.FormatUint(n, 10) != text {
		return 0, errors.New("this is no size")
	}
	return n, nil
}
