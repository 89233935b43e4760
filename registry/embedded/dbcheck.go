package embedded

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"path/filepath"
)

// checkFiles checks etcd's files before etcd reads them: etcd panics where its database cannot be read, and begins an empty log and waits where the
// log is missing. Nothing is repaired. dir is etcd's data directory.
func checkFiles(dir string) error {
	db := filepath.Join(dir, "member", "snap", "db")
	f, err := os.Open(db)
	if errors.Is(err, os.ErrNotExist) {
		return nil // a new member
	}
	if err != nil {
		return fmt.Errorf("opening etcd's database: %w", err)
	}
	defer f.Close()
	const advice = "restore a backup (gantry restore), or, where etcd has other members, remove this one and add it anew"
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("reading the size of etcd's database: %w", err)
	}
	if info.Size() == 0 {
		return nil // made and not written yet
	}
	b := &boltFile{ReaderAt: f, size: info.Size()}
	if err := b.check(); err != nil {
		return fmt.Errorf("etcd's database %s is corrupt: %w: %s", db, err, advice)
	}
	// Without keys it is a member that was killed while it was made.
	if logs, err := filepath.Glob(filepath.Join(dir, "member", "wal", "*.wal")); err == nil && len(logs) == 0 && b.keys {
		return fmt.Errorf("etcd's data in %s are incomplete: there is a database and no log (member/wal): %s", dir, advice)
	}
	return nil
}

// boltFile is a database of bbolt: pages of one size, of which the first two are meta pages and the others trees.
//
//	page: id u64, flags u16, count u16, overflow u32, then
//	meta: magic u32, version u32, page size u32, flags u32, root u64, sequence u64, freelist u64, pages u64, txid u64, checksum u64
//	branch elements: pos u32, key size u32, page u64
//	leaf elements: flags u32, pos u32, key size u32, value size u32; a value with flag 1 is a bucket: root u64, sequence u64
type boltFile struct {
	io.ReaderAt
	size     int64 // of the file, in bytes
	pageSize int64
	pages    uint64 // in use, from 0 on
	keys     bool   // there are some
}

const (
	boltMagic  = 0xED0CDAED
	boltBranch = 1
	boltLeaf   = 2
	boltHeader = 16 // bytes
	boltDepth  = 64 // of trees; deeper ones are circles
)

var le = binary.LittleEndian

// check reads the newer valid meta page and every tree page below it.
func (b *boltFile) check() error {
	root, ok := b.meta()
	if !ok {
		return errors.New("both of its first pages are invalid")
	}
	if need := int64(b.pages) * b.pageSize; b.size < need {
		return fmt.Errorf("it has %d bytes of %d", b.size, need)
	}
	return b.tree(root, 0)
}

// meta finds the page size and the newest root.
func (b *boltFile) meta() (root uint64, ok bool) {
	var newest uint64
	for _, at := range []int64{0, 4 << 10, 8 << 10, 16 << 10, 32 << 10, 64 << 10} {
		p := make([]byte, boltHeader+64)
		if _, err := b.ReadAt(p, at); err != nil {
			continue
		}
		m := p[boltHeader:]
		sum := fnv.New64a()
		_, _ = sum.Write(m[:56])
		if le.Uint32(m) != boltMagic || le.Uint64(m[56:]) != sum.Sum64() || at != 0 && at != int64(le.Uint32(m[8:])) {
			continue
		}
		if txid := le.Uint64(m[48:]); !ok || txid > newest {
			ok, newest = true, txid
			b.pageSize, root, b.pages = int64(le.Uint32(m[8:])), le.Uint64(m[16:]), le.Uint64(m[40:])
		}
	}
	return root, ok && b.pageSize > 0
}

// tree checks the page id and all below it.
func (b *boltFile) tree(id uint64, depth int) error {
	if id < 2 || id >= b.pages || depth > boltDepth {
		return fmt.Errorf("page %d is out of place", id)
	}
	p := make([]byte, b.pageSize)
	if _, err := b.ReadAt(p, int64(id)*b.pageSize); err != nil {
		return fmt.Errorf("reading page %d: %w", id, err)
	}
	flags, count := le.Uint16(p[8:]), int(le.Uint16(p[10:]))
	if got := le.Uint64(p); got != id || flags != boltBranch && flags != boltLeaf || id+uint64(le.Uint32(p[12:])) >= b.pages {
		return fmt.Errorf("page %d is not what it should be", id)
	}
	if count*boltHeader > len(p)-boltHeader {
		if p = b.whole(id, p); p == nil || count*boltHeader > len(p)-boltHeader {
			return fmt.Errorf("page %d names more elements than it has room for", id)
		}
	}
	for i := range count {
		at := boltHeader * (i + 1)
		e := p[at : at+boltHeader]
		switch {
		case flags == boltBranch:
			if err := b.tree(le.Uint64(e[8:]), depth+1); err != nil {
				return err
			}
		case le.Uint32(e)&1 != 0: // a bucket
			v := at + int(le.Uint32(e[4:])) + int(le.Uint32(e[8:]))
			if v+8 > len(p) {
				return fmt.Errorf("page %d has a bucket outside of it", id)
			}
			root := le.Uint64(p[v:])
			inPlace := root == 0 && v+2*boltHeader <= len(p) // a page of its own follows then
			if string(p[v-int(le.Uint32(e[8:])):v]) == "key" {
				b.keys = root != 0 || inPlace && le.Uint16(p[v+boltHeader+10:]) > 0
			}
			if root != 0 {
				if err := b.tree(root, depth+1); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// whole is a page with those that it flows over into; nil: it cannot be read.
func (b *boltFile) whole(id uint64, first []byte) []byte {
	p := make([]byte, b.pageSize*int64(1+le.Uint32(first[12:])))
	if _, err := b.ReadAt(p, int64(id)*b.pageSize); err != nil {
		return nil
	}
	return p
}
