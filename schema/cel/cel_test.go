package cel

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/cel-go/common/types/ref"
	"github.com/google/go-cmp/cmp"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/cel/environment"
	"k8s.io/apiserver/pkg/cel/mutation"
	dracel "k8s.io/dynamic-resource-allocation/cel"

	"gantry/schema/internal/cost"
)

func evaluate(t *testing.T, p *Program, err *Error, input map[string]any) ref.Val {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	value, _, wrong := p.ContextEval(context.Background(), input)
	if wrong != nil {
		t.Fatal(wrong)
	}
	return value
}

func TestAdmissionPrograms(t *testing.T) {
	a := NewAdmission(&Budget{}, true)
	has := Has{Params: true}
	input := map[string]any{
		"object":  map[string]any{"spec": map[string]any{"replicas": int64(3)}},
		"params":  map[string]any{"max": int64(2)},
		"request": map[string]any{"operation": "CREATE"},
	}
	p, err := a.AddVariable("over", "object.spec.replicas - params.max", has)
	over := evaluate(t, p, err, input)
	input["variables"] = map[string]any{"over": over}

	p, err = a.Compile("request.operation == 'CREATE' && variables.over > 0", has, Condition)
	if got := evaluate(t, p, err, input).Value(); got != true {
		t.Errorf("condition is %v", got)
	}
	p, err = a.Compile("'%d too many'.format([variables.over])", has, Message)
	if got := evaluate(t, p, err, input).Value(); got != "1 too many" {
		t.Errorf("message is %v", got)
	}
	has.Patch = true
	p, err = a.Compile("[JSONPatch{op: 'replace', path: '/spec/replicas', value: params.max}]", has, JSONPatch)
	list, _ := evaluate(t, p, err, input).ConvertToNative(reflect.TypeFor[[]*mutation.JSONPatchVal]())
	if got := list.([]*mutation.JSONPatchVal)[0]; got.Op != "replace" || got.Path != "/spec/replicas" || got.Val.Value() != int64(2) {
		t.Errorf("patch is %+v", got)
	}
}

func TestLimitsOfPrograms(t *testing.T) {
	p, err := NewAdmission(&Budget{}, false).Compile("object.list.all(a, object.list.all(b, object.list.all(c, a+b+c != 1)))", Has{}, Condition)
	if err != nil {
		t.Fatal(err)
	}
	_, _, wrong := p.ContextEval(context.Background(), map[string]any{"object": map[string]any{"list": make([]int64, 1000)}})
	if wrong == nil || !strings.Contains(wrong.Error(), "actual cost limit exceeded") {
		t.Errorf("got %v", wrong)
	}
}

func TestDevices(t *testing.T) {
	for _, tt := range []struct{ expression, want string }{
		{expression: "device.driver == 'gpu.example.com' && device.attributes['gpu.example.com'].large"},
		{expression: "device.capacity['gpu.example.com'].memory.isGreaterThan(quantity('1Gi')) || device.allowMultipleAllocations"},
		{expression: "cel.bind(a, device.attributes['gpu.example.com'], a.large)"},
		{expression: "1", want: `x: Invalid value: "1": must evaluate to bool or the unknown type, not int`},
		{expression: "device.x", want: `x: Invalid value: "device.x": compilation failed: ERROR: <input>:1:7: undefined field 'x'` + "\n | device.x\n | ......^"},
		{expression: "object", want: `x: Invalid value: "object": compilation failed: ERROR: <input>:1:1: undeclared reference to 'object' (in container '')` + "\n | object\n | ^"},
	} {
		got := ""
		if _, err := CompileDevice(&Budget{}, tt.expression, false); err != nil {
			got = FieldError(field.NewPath("x"), tt.expression, err).Error()
		}
		if got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.expression, got, tt.want)
		}
	}
	if _, err := CompileDevice(&Budget{}, "device.driver.includes('x')", false); err == nil {
		t.Error("new selectors may use a function of a feature that is off")
	}
	if _, err := CompileDevice(&Budget{}, "device.driver.includes('x')", true); err != nil {
		t.Errorf("stored selectors may not use a function of a feature that is off: %v", err)
	}
	const each = "device.attributes['a.example.com'].exists("
	d, err := CompileDevice(&Budget{}, each+"w, "+each+"x, "+each+"y, "+each+"z, w + x + y + z == ''))))", false)
	if err != nil {
		t.Fatal(err)
	}
	if !TooComplex(d) {
		t.Errorf("a selector of cost %d is not too complex", d.MaxCost)
	}
	d, _ = CompileDevice(&Budget{}, "device.driver == 'a' && device.capacity['a'].memory == quantity('1Gi')", false)
	matches, _, wrong := d.DeviceMatches(context.Background(), dracel.Device{Driver: "a", Capacity: map[resourcev1.QualifiedName]resourcev1.DeviceCapacity{"memory": {Value: resource.MustParse("1024Mi")}}})
	if !matches || wrong != nil || TooComplex(d) {
		t.Errorf("matches %v, %v, cost %d", matches, wrong, d.MaxCost)
	}
}

// Stored expressions need an environment of their own once it has more than that of new ones.
func TestNewAndStoredExpressionsMayUseTheSame(t *testing.T) {
	if got := environment.DefaultCompatibilityVersion(); !got.EqualTo(compatibility) {
		t.Errorf("the libraries are of %v", got)
	}
	set := environment.MustBaseEnvSet(compatibility)
	fresh, stored := set.NewExpressionsEnv(), set.StoredExpressionsEnv()
	if diff := cmp.Diff(slices.Sorted(maps.Keys(fresh.Functions())), slices.Sorted(maps.Keys(stored.Functions()))); diff != "" {
		t.Errorf("functions (-new +stored):\n%s", diff)
	}
	for name, f := range fresh.Functions() {
		if was := stored.Functions()[name]; len(f.OverloadDecls()) != len(was.OverloadDecls()) {
			t.Errorf("%s has %d overloads for new expressions, %d for stored ones", name, len(f.OverloadDecls()), len(was.OverloadDecls()))
		}
	}
	if diff := cmp.Diff(fresh.Libraries(), stored.Libraries(), cmp.Transformer("sort", func(l []string) []string { return slices.Sorted(slices.Values(l)) })); diff != "" {
		t.Errorf("libraries (-new +stored):\n%s", diff)
	}
}

// Expressions for which the compiler needs minutes or more are refused before it checks them.
func TestExpressionsThatTakeLong(t *testing.T) {
	nested := func(n int, open, inner, end string) string {
		return strings.Repeat(open, n) + inner + strings.Repeat(end, n)
	}
	for name, expression := range map[string]string{
		"comparisons":    strings.Repeat("dyn(1)==1||", 3000) + "true",
		"comprehensions": strings.Repeat("[1].map(x,x)==[1]&&", 1000) + "true",
		"lists":          nested(240, "[", "", "]") + " == []",
		"maps":           nested(120, "{1:", "1", "}") + " == {}",
		"doubling":       "optional.of(1)" + strings.Repeat(".optMap(x, x)", 60) + ".hasValue()",
		"doubling twice": "optional.of([1])" + strings.Repeat(".optMap(x, x.map(y, y))", 10) + ".hasValue()",
	} {
		cpu, _ := cost.Of(t, func() {
			if _, err := NewAdmission(&Budget{}, false).Compile(expression, Has{}, Condition); err == nil || err.Detail != tooComplex {
				t.Errorf("%s: %v", name, err)
			}
			if _, err := CompileDevice(&Budget{}, expression, false); err == nil || err.Detail != tooComplex {
				t.Errorf("%s of devices: %v", name, err)
			}
		})
		if cpu > 10*time.Second {
			t.Errorf("%s took %v", name, cpu)
		}
	}
}

// The budget is of all expressions of an object: a large policy compiles, a thousand costly expressions do not.
func TestBudget(t *testing.T) {
	b := &Budget{}
	a := NewAdmission(b, false)
	large := "object.spec.containers.all(c, c.image.startsWith('registry.example.com/') && " + strings.Repeat("c.name != 'x' && has(c.resources) && ", 10) + "true)"
	for i := range 40 {
		if _, err := a.Compile(large, Has{}, Condition); err != nil {
			t.Fatalf("expression %d of a large policy: %v", i, err)
		}
	}
	costly, refused := strings.Repeat("[1][0]==1&&", 200)+"true", 0
	for range 60 {
		if _, err := a.Compile(costly, Has{}, Condition); err != nil {
			refused++
		}
	}
	if refused == 0 {
		t.Error("no costly expression was refused")
	}
}
