package pause

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// The file is one segment, read and executed, mapped at base: an ELF header, one program header, the two constants that the
// program points at, the code.
const (
	base       = 0x400000
	headerSize = 64 + 56
	actionAt   = base + headerSize // struct sigaction{handler: SIG_IGN}
	signalsAt  = actionAt + 32     // the set {SIGINT, SIGTERM}
	codeAt     = signalsAt + 8
)

// Linux' numbers of what the program uses.
const (
	sigint, sigterm, sigchld = 2, 15, 17
	sigIgn                   = 1
	sigsetSize               = 8
)

// machine is what differs between processors.
type machine struct {
	elf  uint16 // e_machine
	code []byte
}

var machines = map[string]machine{
	"amd64": {elf: 62, code: codeAMD64()},
	"arm64": {elf: 183, code: codeARM64()},
}

// Program assembles the static program for a processor in Go's words ("amd64", "arm64"):
//
//	rt_sigaction(SIGCHLD, &{SIG_IGN}, NULL, 8)      the kernel then buries orphans that become its children
//	rt_sigprocmask(SIG_BLOCK, &{INT, TERM}, NULL, 8) a blocked signal reaches even the first process of a pid namespace
//	while rt_sigtimedwait(&{INT, TERM}, NULL, NULL, 8) < 0 {}
//	exit_group(0)
func Program(arch string) ([]byte, error) {
	m, ok := machines[arch]
	if !ok {
		return nil, fmt.Errorf("no pause program for processor %q", arch)
	}
	le := binary.LittleEndian
	b := make([]byte, 0, 256)
	b = append(b, 0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0) // 64 bit, little endian, System V
	b = le.AppendUint16(b, 2)                                              // ET_EXEC
	b = le.AppendUint16(b, m.elf)
	b = le.AppendUint32(b, 1)
	b = le.AppendUint64(b, codeAt) // entry
	b = le.AppendUint64(b, 64)     // program headers
	b = le.AppendUint64(b, 0)      // no section headers
	b = le.AppendUint32(b, 0)      // flags
	for _, n := range []uint16{64, 56, 1, 64, 0, 0} {
		b = le.AppendUint16(b, n)
	}
	size := uint64(codeAt - base + len(m.code))
	b = le.AppendUint32(b, 1) // PT_LOAD
	b = le.AppendUint32(b, 5) // read, execute
	for _, n := range []uint64{0, base, base, size, size, 0x10000} {
		b = le.AppendUint64(b, n) // offset, address, physical address, size in file and memory, alignment
	}
	for _, n := range []uint64{sigIgn, 0, 0, 0} {
		b = le.AppendUint64(b, n)
	}
	b = le.AppendUint64(b, 1<<(sigint-1)|1<<(sigterm-1))
	return append(b, m.code...), nil
}

// codeAMD64 is the code of Program for x86-64; arguments are passed in edi, esi, edx, r10d.
func codeAMD64() []byte {
	var b bytes.Buffer
	const eax, edx, esi, edi, r10d = 0xb8, 0xba, 0xbe, 0xbf, 0x41ba // "mov r32, imm32"
	mov := func(op int, value uint32) {
		if op > 0xff {
			b.WriteByte(byte(op >> 8))
		}
		b.WriteByte(byte(op))
		_ = binary.Write(&b, binary.LittleEndian, value)
	}
	call := func(number, a, b1, c uint32) {
		mov(eax, number)
		mov(edi, a)
		mov(esi, b1)
		mov(edx, c)
		mov(r10d, sigsetSize)
		b.Write([]byte{0x0f, 0x05}) // syscall
	}
	call(13, sigchld, actionAt, 0)
	call(14, 0, signalsAt, 0)
	wait := b.Len()
	call(128, signalsAt, 0, 0)
	b.Write([]byte{0x85, 0xc0})                       // test eax, eax
	b.Write([]byte{0x78, byte(wait - (b.Len() + 2))}) // js wait
	call(231, 0, 0, 0)
	return b.Bytes()
}

// codeARM64 is the code of Program for arm64; arguments are passed in x0 to x3, the number in x8.
func codeARM64() []byte {
	var b []byte
	op := func(word uint32) { b = binary.LittleEndian.AppendUint32(b, word) }
	mov := func(register, value uint32) {
		op(0xd2800000 | value&0xffff<<5 | register)     // movz x, #low
		op(0xf2a00000 | value>>16&0xffff<<5 | register) // movk x, #high, lsl 16
	}
	call := func(number uint32, args ...uint32) {
		for i, a := range args {
			mov(uint32(i), a)
		}
		mov(3, sigsetSize)
		mov(8, number)
		op(0xd4000001) // svc #0
	}
	call(134, sigchld, actionAt, 0)
	call(135, 0, signalsAt, 0)
	wait := len(b)
	call(137, signalsAt, 0, 0)
	back := uint32((wait-len(b))/4) & 0x3fff
	op(0xb7f80000 | back<<5) // tbnz x0, #63, wait
	call(94, 0)
	return b
}
