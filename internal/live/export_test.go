package live

// Realms is how many realms the hub remembers.
func (h *Hub) Realms() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.realms)
}
