package engine

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/docker/docker/pkg/stdcopy"
)

// pieceSize is how much of a line the engine keeps in one record of a log at most. The records of a longer line follow each other,
// all with the time of the first; only the last ends with the line's newline.
const pieceSize = 16 << 10 // bytes

// record is given each record of a log: its time as text, and what was written. Neither may be kept.
type record func(stamp, text []byte) error

// readRecords gives f the records of a log that was asked for with timestamps. tty tells that the container has a terminal: then
// nothing but the times divides the records.
func readRecords(from io.Reader, tty bool, f record) error {
	if tty {
		return f.readTerminal(from)
	}
	_, err := stdcopy.StdCopy(f, f, from) // which writes one record at a time; streams not asked for never come
	return err
}

// Write takes one record as the engine sends it: "2026-05-01T12:00:00.000000000Z text\n".
func (f record) Write(b []byte) (int, error) {
	stamp, text, _ := bytes.Cut(b, []byte(" "))
	return len(b), f(stamp, text)
}

func (f record) readTerminal(from io.Reader) error {
	r := bufio.NewReaderSize(from, 2*pieceSize)
	for {
		stamp, err := r.ReadBytes(' ')
		if err != nil {
			return endOf(err)
		}
		for more := true; more; {
			text, err := readPiece(r)
			if len(text) > 0 {
				if err := f(stamp[:len(stamp)-1], text); err != nil {
					return err
				}
			}
			if err != nil {
				return endOf(err)
			}
			more = text[len(text)-1] != '\n'
			if next, _ := r.Peek(len(stamp)); more && bytes.Equal(next, stamp) {
				_, _ = r.Discard(len(stamp)) // it is there
			}
		}
	}
}

// readPiece reads to the end of the line, but no more than a record has.
func readPiece(r *bufio.Reader) (text []byte, err error) {
	for len(text) < pieceSize {
		c, err := r.ReadByte()
		if err != nil {
			return text, err
		}
		if text = append(text, c); c == '\n' {
			break
		}
	}
	return text, nil
}

func endOf(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// lineWriter writes records as lines: a time, where stamps is set, stands where a line begins and nowhere else.
type lineWriter struct {
	to     io.Writer
	stamps bool
	inside bool // the last record did not end its line
	// skip is the time of the record to begin with, "" with the next; no more than spare are left out before it.
	skip  string
	spare int
	buf   []byte
}

func (l *lineWriter) write(stamp, text []byte) error {
	begins := !l.inside
	l.inside = len(text) > 0 && text[len(text)-1] != '\n'
	if l.skip != "" {
		if string(stamp) != l.skip && (l.spare > 0 || !begins) {
			l.spare--
			return nil
		}
		l.skip = ""
	}
	if !l.stamps || !begins {
		_, err := l.to.Write(text)
		return err
	}
	l.buf = append(append(append(l.buf[:0], stamp...), ' '), text...)
	_, err := l.to.Write(l.buf)
	return err
}
