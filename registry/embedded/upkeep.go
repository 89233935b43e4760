package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// The embedded etcd is maintained by this process. etcd itself compacts its history, an hour or two after it was
// made (counted anew at every start); upkeep returns the space to the file system, shortens history when the database nears
// its quota, and gets it out of the state NOSPACE, in which it takes deletions only.

// When to do what.
const (
	// upkeepEvery is how often the database is checked: a check costs nothing.
	upkeepEvery = 5 * time.Second
	// Defragmenting stops a single member for as long as copying what is in use takes, some 100 MB in a second. It
	// is done when it frees so many bytes and so large a part of the file, or when the file nears the quota.
	worthBytes = 100 << 20
	worthPart  = 0.5
	nearQuota  = 0.8
	nearPart   = 0.25
	// quietWrites is how many writes between two checks are few enough to defragment meanwhile.
	quietWrites = 500
	// shortenQuota is where history is shortened before its time: else the alarm would be raised soon.
	shortenQuota = 0.9
	// freeShare of the quota must be free for the alarm to be disarmed: else it would be raised again at once.
	freeShare = 0.05
	// defragPause is the least time between two defragmentations.
	defragPause = 10 * time.Minute
	// stillFullEvery is how often it is logged that the database stays full.
	stillFullEvery = time.Minute
)

// Notice is something about etcd that an admin should know.
type Notice struct {
	// Reason is one word, as of an Event: "EtcdSpaceRecovered".
	Reason, Text string
	// Warning tells that something is wrong.
	Warning bool
}

// dbState is what upkeep decides on, sizes in bytes.
type dbState struct {
	size, inUse, quota int64
	noSpace            bool  // the alarm is on
	writes             int64 // since the last check
	sinceDefrag        time.Duration
	sinceShorten       time.Duration
}

// step is what upkeep does.
type step int

const (
	nothing    step = iota
	defragment      // give free pages back
	shorten         // compact the older half of history
	reclaim         // make room: compact all of history, defragment, disarm
	disarm          // there is room already
)

// next decides. It is pure.
func (s dbState) next() step {
	free := s.size - s.inUse
	switch {
	case s.noSpace && s.hasSpace():
		return disarm
	case s.noSpace:
		return reclaim
	case s.sinceDefrag < defragPause:
		return nothing
	case float64(s.size) > nearQuota*float64(s.quota) && float64(free) > nearPart*float64(s.size):
		return defragment
	case float64(s.size) > shortenQuota*float64(s.quota) && s.sinceShorten >= defragPause:
		return shorten
	case free > worthBytes && float64(free) > worthPart*float64(s.size) && s.writes <= quietWrites:
		return defragment
	}
	return nothing
}

// hasSpace tells whether the file is far enough below the quota.
func (s dbState) hasSpace() bool { return float64(s.size) < (1-freeShare)*float64(s.quota) }

// upkeep maintains one embedded etcd.
type upkeep struct {
	e         *Etcd
	log       *slog.Logger
	notify    func(Notice)
	every     time.Duration
	full      bool      // the alarm was on at the last check
	last      time.Time // of a defragmentation
	shortened time.Time // history, the last time
	seen      int64     // the revision at the last check
	logged    time.Time // that the database stays full
}

// run checks, decides and acts until ctx is done.
func (u *upkeep) run(ctx context.Context) {
	tick := time.NewTicker(u.every)
	defer tick.Stop()
	for {
		if err := u.check(ctx); err != nil && ctx.Err() == nil {
			u.log.Warn("upkeep of etcd failed", "after", u.every, "err", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (u *upkeep) check(ctx context.Context) error {
	s := u.state()
	switch s.next() {
	case defragment:
		return u.defragment(ctx, s)
	case shorten:
		return u.shorten(ctx, s)
	case reclaim:
		return u.reclaim(ctx, s)
	case disarm:
		return u.disarm(ctx, s)
	}
	return nil
}

func (u *upkeep) state() dbState {
	server := u.e.etcd.Server
	s := dbState{
		size: server.Backend().Size(), inUse: server.Backend().SizeInUse(), quota: u.e.quota,
		sinceDefrag: time.Since(u.last), sinceShorten: time.Since(u.shortened),
	}
	for _, a := range server.Alarms() {
		s.noSpace = s.noSpace || a.Alarm == pb.AlarmType_NOSPACE
	}
	now := server.KV().Rev()
	s.writes, u.seen = now-u.seen, now
	if s.noSpace && !u.full {
		u.full = true
		u.log.Error("etcd is full, it accepts deletions only", "size", s.size, "inUse", s.inUse, "quota", s.quota)
	}
	return s
}

func (u *upkeep) defragment(ctx context.Context, s dbState) error {
	began := time.Now()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	// Not by the client: in process it has no health service to tell, and panics.
	if err := u.e.etcd.Server.Backend().Defrag(); err != nil {
		return fmt.Errorf("defragmenting etcd: %w", err)
	}
	u.last = time.Now()
	u.log.Info("etcd defragmented", "before", s.size, "after", u.e.etcd.Server.Backend().Size(), "took", time.Since(began))
	return nil
}

// shorten drops the older half of history before its time; what it frees is given back at one of the next checks.
func (u *upkeep) shorten(ctx context.Context, s dbState) error {
	kv := u.e.etcd.Server.KV()
	from, to := kv.FirstRev(), kv.Rev()
	rev := from + (to-from)/2
	u.shortened = time.Now()
	if rev <= from {
		return nil
	}
	if _, err := u.e.client.Compact(ctx, rev, clientv3.WithCompactPhysical()); err != nil && !isCompacted(err) {
		return fmt.Errorf("compacting etcd at revision %d: %w", rev, err)
	}
	u.log.Warn("history of etcd shortened, its database nears the quota", "rv", rev, "size", s.size, "inUse", s.inUse, "quota", s.quota)
	return nil
}

// reclaim makes room in a full database. What is not in use comes first; then all of history is dropped, which is less bad than
// a cluster that cannot write.
func (u *upkeep) reclaim(ctx context.Context, s dbState) error {
	if float64(s.size-s.inUse) > freeShare*float64(s.quota) {
		if err := u.defragment(ctx, s); err != nil {
			return err
		}
		if s = u.state(); s.hasSpace() {
			return u.disarm(ctx, s)
		}
	}
	rev := u.e.etcd.Server.KV().Rev()
	if _, err := u.e.client.Compact(ctx, rev, clientv3.WithCompactPhysical()); err != nil && !isCompacted(err) {
		return fmt.Errorf("compacting etcd at revision %d: %w", rev, err)
	}
	if s = u.state(); float64(s.size-s.inUse) > freeShare*float64(s.quota) || s.inUse < int64((1-freeShare)*float64(s.quota)) {
		if err := u.defragment(ctx, s); err != nil {
			return err
		}
		s = u.state()
	}
	if s.hasSpace() {
		return u.disarm(ctx, s)
	}
	if time.Since(u.logged) > stillFullEvery {
		u.logged = time.Now()
		u.log.Error("etcd stays full of live objects: delete some, or give it a larger quota", "inUse", s.inUse, "quota", s.quota)
	}
	return nil
}

// disarm ends the state NOSPACE.
func (u *upkeep) disarm(ctx context.Context, s dbState) error {
	for _, a := range u.e.etcd.Server.Alarms() {
		if a.Alarm != pb.AlarmType_NOSPACE {
			continue
		}
		_, err := u.e.client.AlarmDisarm(ctx, &clientv3.AlarmMember{MemberID: a.MemberID, Alarm: a.Alarm})
		if err != nil {
			return fmt.Errorf("disarming etcd's alarm: %w", err)
		}
	}
	u.full = false
	u.log.Warn("etcd has space again", "size", s.size, "quota", s.quota)
	if u.notify != nil {
		u.notify(Notice{Warning: true, Reason: "EtcdSpaceRecovered", Text: fmt.Sprintf(
			"etcd had no space left and refused writes; after dropping history and defragmenting its database takes %s of %s", size(s.size), size(s.quota))})
	}
	return nil
}

// size is a number of bytes as text.
func size(bytes int64) string { return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20)) }

func isCompacted(err error) bool { return errors.Is(rpctypes.Error(err), rpctypes.ErrCompacted) }
