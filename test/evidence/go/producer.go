package main

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
)

const eventPayloadType = "application/vnd.streaming-ingest.event.v1+json"

// producerKey is a verifier key as DSSE's library wants it.
type producerKey struct {
	id     string
	public ed25519.PublicKey
}

func (k producerKey) Verify(_ context.Context, data, signature []byte) error {
	if !ed25519.Verify(k.public, data, signature) {
		return errors.New("the signature is not good")
	}
	return nil
}

func (k producerKey) KeyID() (string, error)   { return k.id, nil }
func (k producerKey) Public() crypto.PublicKey { return k.public }

// verifyProducer fills the payload in and has the envelope verified: one good signature is enough.
func verifyProducer(c testCase) error {
	var envelope dsse.Envelope
	if err := json.Unmarshal([]byte(c.Signature), &envelope); err != nil {
		return err
	}
	if envelope.PayloadType != eventPayloadType {
		return errors.New("the payload is of another type")
	}
	envelope.Payload = base64.StdEncoding.EncodeToString(c.Payload)
	var keys []dsse.Verifier
	for _, text := range c.Keys {
		parts := strings.SplitN(text, "+", 3)
		key, err := base64.StdEncoding.DecodeString(parts[2])
		if err != nil {
			return err
		}
		keys = append(keys, producerKey{id: parts[0] + "+" + parts[1], public: key[1:]})
	}
	verifier, err := dsse.NewEnvelopeVerifier(keys...)
	if err != nil {
		return err
	}
	_, err = verifier.Verify(context.Background(), &envelope)
	return err
}
