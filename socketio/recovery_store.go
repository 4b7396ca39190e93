package socketio

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
)

// RecoveryStore is safe for concurrent use. It keeps what [Recovery] needs while no process of the server runs. [FileStore] is one;
// others may be written for what several machines can reach.
//
// A state holds the private ids by which clients get their sockets back, the data of these and the events they have missed:
// it is as confidential as these are.
type RecoveryStore interface {
	// Save keeps state in place of what was kept under that name. Who takes it later gets all of it or nothing.
	Save(ctx context.Context, name string, state []byte) error
	// Take returns what is kept under that name, and keeps it no longer: it is good for one process, as two that had it would
	// send their clients the same. An error that is fs.ErrNotExist says that there is nothing.
	Take(ctx context.Context, name string) (state []byte, err error)
}

// ErrRecoveryState: what the Store has given is damaged, of something else or of another version, or too old. Clients connect afresh.
var ErrRecoveryState = errors.New("socketio: the state of recovery cannot be used, clients connect afresh")

// maxStateFile bounds what is read into memory.
const maxStateFile = 1 << 30

type fileStore struct{ path string }

// FileStore keeps the state in the file at path, and that of a server with a name in one beside it, with a dot and the name at its
// end. The file can be read by its owner alone; it appears when it is complete, and is gone when it was taken. Its directory has
// to be there, and to outlive the process: in a container, a volume. A file there that is of something else is left as it is.
//
// The next process has to begin after the one before has ended, on the same machine or the same volume.
func FileStore(path string) RecoveryStore { return fileStore{path} }

func (s fileStore) file(name string) string {
	if name == "" {
		return s.path
	}
	return s.path + "." + url.PathEscape(name)
}

// Save writes a file beside the one that is to be, and moves it into place.
func (s fileStore) Save(_ context.Context, name string, state []byte) (err error) {
	path := s.file(name)
	switch old, err := open(path); {
	case err == nil:
		_ = old.Close()
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // readable by its owner alone
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(state)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir has the directory know of the file should the machine lose its power.
func syncDir(path string) error {
	if runtime.GOOS == "windows" {
		return nil // which has no such thing
	}
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Take reads the file and removes it.
func (s fileStore) Take(_ context.Context, name string) ([]byte, error) {
	f, err := open(s.file(name))
	if err != nil {
		return nil, err
	}
	state, err := io.ReadAll(io.LimitReader(f, maxStateFile+1))
	if len(state) > maxStateFile {
		err = fmt.Errorf("%w: %s is larger than %d bytes", ErrRecoveryState, f.Name(), maxStateFile)
	}
	// One that cannot be removed is not used: the next process would use it again.
	if err = errors.Join(err, f.Close(), os.Remove(f.Name())); err != nil {
		return nil, err
	}
	return state, nil
}

// open opens a file of ours.
func open(path string) (*os.File, error) {
	if info, err := os.Stat(path); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("socketio: %s is no file, choose another path for FileStore", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	magic := make([]byte, len(stateMagic))
	if n, _ := io.ReadFull(f, magic); !bytes.Equal(magic[:n], []byte(stateMagic)) {
		_ = f.Close()
		return nil, fmt.Errorf("%w: %s is a file of something else, choose another path for FileStore", ErrRecoveryState, path)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}
