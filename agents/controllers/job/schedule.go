package job

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/utils/ptr"

	"gantry/schema/batch"
)

// scheduleMargin is how long after its time a job is made, so that a clock that was set back by less does not skip it.
const scheduleMargin = 100 * time.Millisecond

// manyMissed is the number of times missed from which on an Event says so.
const manyMissed = 100

// parseSchedule reads the schedule of a cron job in its time zone.
func parseSchedule(cj *batchv1.CronJob) (cron.Schedule, error) {
	text := cj.Spec.Schedule
	if zone := cj.Spec.TimeZone; zone != nil && !strings.Contains(text, "TZ") {
		text = fmt.Sprintf("TZ=%s %s", *zone, text)
	}
	return batch.ParseSchedule(text)
}

// lastTime is the last time of a schedule that is not after now, and how many there were since the last job (or the creation of the cron job); zero
// where none is known. since is the time they are counted from, which is not before what startingDeadlineSeconds allow, where withDeadline.
// The count is an estimate by the first two times.
func lastTime(cj *batchv1.CronJob, s cron.Schedule, now time.Time, withDeadline bool) (since, last time.Time, missed int64, err error) {
	since = cj.CreationTimestamp.Time
	if t := cj.Status.LastScheduleTime; t != nil {
		since = t.Time
	}
	if seconds := cj.Spec.StartingDeadlineSeconds; withDeadline && seconds != nil {
		if earliest := now.Add(-time.Duration(*seconds) * time.Second); earliest.After(since) {
			since = earliest
		}
	}
	first := s.Next(since)
	second := s.Next(first)
	switch {
	case now.Before(first):
		return since, time.Time{}, 0, nil
	case now.Before(second):
		return since, first, 0, nil
	}
	// There is no such day in the year: both are zero.
	period := int64(second.Sub(first).Round(time.Second).Seconds())
	if period < 1 {
		return since, time.Time{}, 0, errors.New("time difference between two schedules is less than 1 second")
	}
	missed = int64(now.Sub(first).Seconds())/period + 1
	// Times need not be periodic, so the last ones are taken from the schedule.
	from := first.Add(time.Duration((missed-2)*period) * time.Second)
	for t := s.Next(from); !t.IsZero() && !t.After(now); t = s.Next(t) {
		last = t
	}
	return since, last, missed, nil
}

// untilNext is how long it is from now to the next time of a schedule.
func untilNext(cj *batchv1.CronJob, s cron.Schedule, now time.Time) time.Duration {
	since, last, missed, err := lastTime(cj, s, now, false)
	switch {
	case err != nil, last.IsZero() && missed > 0:
		last = now
	case last.IsZero():
		last = since
	}
	next := s.Next(last)
	if next.IsZero() {
		return 0 // there is none
	}
	return max(next.Add(scheduleMargin).Sub(now), time.Millisecond)
}

// jobName is the name of the job of one time, so that no time has two jobs.
func jobName(cj *batchv1.CronJob, at time.Time) string {
	return fmt.Sprintf("%s-%d", cj.Name, at.Unix()/60)
}

// scheduledTime is the time that a job was made for by the cron job; false: it was made otherwise.
func scheduledTime(cj *batchv1.CronJob, job *batchv1.Job) (at time.Time, scheduled bool) {
	at, err := time.Parse(time.RFC3339, job.Annotations[batchv1.CronJobScheduledTimestampAnnotation])
	return at, err == nil && job.Name == jobName(cj, at)
}

// location is the time zone of a cron job.
func location(cj *batchv1.CronJob) (*time.Location, error) {
	return time.LoadLocation(ptr.Deref(cj.Spec.TimeZone, ""))
}
