// Package wsframe reads and builds WebSocket frames (RFC 6455) on byte slices, for a server: frames
// of the client are masked, ours are not. Header rules, masking and codes are those of gobwas/ws;
// reassembly, UTF-8 and limits are ours, because we read from buffers that we do not keep.
package wsframe
