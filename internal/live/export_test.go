package live

import "fmt"

// Realms is how many realms the hub remembers.
func (h *Hub) Realms() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.realms)
}

// Empty says what of desks the index still has where nobody watches; empty: nothing.
func (h *Hub) Empty() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.realms) == 0 && h.desks.parties == 0 {
		return ""
	}
	return fmt.Sprintf("%d realms, %d parties", len(h.realms), h.desks.parties)
}
