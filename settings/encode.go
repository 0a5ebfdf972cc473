package settings

import (
	"encoding/json"
	"fmt"
)

// What is stored is everything, unlike the JSON for users, which leaves out what a
// verdict repeats. Types without methods encode as plain structs.
type (
	storedObservation Observation
	storedHistory     struct {
		History
		Success, Newest storedObservation
	}
)

// EncodeObservation writes an observation for a store; DecodeObservation reads it.
func EncodeObservation(o Observation) ([]byte, error) { return json.Marshal(storedObservation(o)) }

// DecodeObservation reads what EncodeObservation wrote. Unknown members are ignored, so
// that a newer version's rows can be read.
func DecodeObservation(data []byte) (Observation, error) {
	var o storedObservation
	if err := json.Unmarshal(data, &o); err != nil {
		return Observation{}, fmt.Errorf("stored observation: %w", err)
	}
	return Observation(o), nil
}

// EncodeHistory writes a history for a store; DecodeHistory reads it.
func EncodeHistory(h History) ([]byte, error) {
	return json.Marshal(storedHistory{h, storedObservation(h.Success), storedObservation(h.Newest)})
}

// DecodeHistory reads what EncodeHistory wrote.
func DecodeHistory(data []byte) (History, error) {
	var h storedHistory
	if err := json.Unmarshal(data, &h); err != nil {
		return History{}, fmt.Errorf("stored history: %w", err)
	}
	h.History.Success, h.History.Newest = Observation(h.Success), Observation(h.Newest)
	return h.History, nil
}
