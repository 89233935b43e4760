package batch

import (
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // the time zones of a host that has none, as Kubernetes embeds them

	"github.com/robfig/cron/v3"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/internal/check"
)

// maxSchedule bounds the text of a schedule, which its parser takes apart and quotes in errors. Each of its five fields needs no more than
// some numbers.
const maxSchedule = 4096 // bytes

// ParseSchedule reads a schedule as crontabs have it, or "@every 1h". The parser panics for "TZ=" without a space.
func ParseSchedule(text string) (s cron.Schedule, err error) {
	defer func() {
		if r := recover(); r != nil {
			s, err = nil, fmt.Errorf("invalid schedule format: %v", r)
		}
	}()
	return cron.ParseStandard(text)
}

// checkSchedule checks a schedule; oldTZ tells that it had a time zone before, which is allowed no more.
func checkSchedule(f *check.Errors, text string, zone *string, oldTZ bool, p *field.Path) {
	if text == "" {
		f.Required(p, "")
		return
	}
	if _, err := ParseSchedule(text); err != nil {
		f.Invalid(p, text, err.Error())
	}
	switch has := strings.Contains(text, "TZ"); {
	case has && !oldTZ:
		f.Invalid(p, text, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead")
	case has && zone != nil:
		f.Invalid(p, text, "cannot use both timeZone field and TZ or CRON_TZ in schedule")
	}
}

// checkTimeZone checks a name of the IANA's time zones, which is the name of a file. The parts between slashes have up to 14 letters, digits
// and some signs.
func checkTimeZone(f *check.Errors, zone *string, p *field.Path) {
	if zone == nil {
		return
	}
	if *zone == "" {
		f.Invalid(p, zone, "timeZone must be nil or non-empty string")
		return
	}
	for part := range strings.SplitSeq(*zone, "/") {
		if !isZonePart(part) {
			f.Invalid(p, zone, "unknown time zone "+*zone)
			return
		}
	}
	if strings.EqualFold(*zone, "Local") {
		f.Invalid(p, zone, "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones")
	}
	if _, err := time.LoadLocation(*zone); err != nil {
		f.Invalid(p, zone, err.Error())
	}
}

func isZonePart(part string) bool {
	const maxPart = 14
	if part == "" || len(part) > maxPart || part == "." || part == ".." || part[0] == '-' {
		return false
	}
	for i := range len(part) {
		switch c := part[i]; {
		case 'a' <= c|' ' && c|' ' <= 'z', '0' <= c && c <= '9', strings.IndexByte(".-_+", c) >= 0:
		default:
			return false
		}
	}
	return true
}
