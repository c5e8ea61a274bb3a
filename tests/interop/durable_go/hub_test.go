// What the tests share: a client, a worker beside it, and what is asked again and again.
//
// Each Test function is a room of tests that run side by side, as most of their time is
// waiting. It has one worker, for the SDK's workers take whatever there is.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/microsoft/durabletask-go/api"
	"github.com/microsoft/durabletask-go/client"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

var address = flag.String("address", "", "of the server")

const patience = 120 * time.Second

const (
	running    = api.RUNTIME_STATUS_RUNNING
	completed  = api.RUNTIME_STATUS_COMPLETED
	failed     = api.RUNTIME_STATUS_FAILED
	terminated = api.RUNTIME_STATUS_TERMINATED
	pending    = api.RUNTIME_STATUS_PENDING
	suspended  = api.RUNTIME_STATUS_SUSPENDED
)

var ended = []api.OrchestrationStatus{completed, failed, terminated}
var active = []api.OrchestrationStatus{running, suspended, pending}

func nameOf(status api.OrchestrationStatus) string {
	return strings.TrimPrefix(status.String(), "ORCHESTRATION_STATUS_")
}

// A test with a client.
type hub struct {
	*testing.T
	ctx    context.Context
	client *client.TaskHubGrpcClient
}

func newHub(t *testing.T, on *client.TaskHubGrpcClient) *hub {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return &hub{t, ctx, on}
}

// A hub with a worker for as long as its tests run.
func withWorker(t *testing.T, turns orchestrators, tasks activities) *hub {
	h := newHub(t, connectPlain(*address))
	h.must(work(h.ctx, h.client, turns, tasks))
	return h
}

// A test beside others, named by what it promises.
func (h *hub) test(sentence string, body func(h *hub)) {
	h.Run(sentence, func(t *testing.T) {
		t.Parallel()
		body(newHub(t, h.client))
	})
}

func (h *hub) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

func (h *hub) equal(got, wanted any) {
	h.Helper()
	if !reflect.DeepEqual(got, wanted) {
		h.Fatalf("wanted %v, got %v", wanted, got)
	}
}

func (h *hub) expect(condition bool, format string, args ...any) {
	h.Helper()
	if !condition {
		h.Fatalf(format, args...)
	}
}

// The error is of the server, and of this code and text.
func (h *hub) refused(err error, code codes.Code, text string) {
	h.Helper()
	h.expect(err != nil && status.Code(err) == code && strings.Contains(err.Error(), text),
		"wanted %s %q, got %v", code, text, err)
}

var ids atomic.Int64

func newID(name string) api.InstanceID {
	return api.InstanceID(fmt.Sprintf("%s-%d-%d", name, time.Now().UnixMilli(), ids.Add(1)))
}

func (h *hub) start(name string, input any, options ...api.NewOrchestrationOptions,
) api.InstanceID {
	h.Helper()
	id, err := h.client.ScheduleNewOrchestration(h.ctx, name,
		append([]api.NewOrchestrationOptions{api.WithInput(input)}, options...)...)
	h.must(err)
	return id
}

func (h *hub) end(id api.InstanceID) *api.OrchestrationMetadata {
	h.Helper()
	state, err := h.client.WaitForOrchestrationCompletion(h.ctx, id)
	h.must(err)
	return state
}

// Starts one and waits for its end.
func (h *hub) run(name string, input any, options ...api.NewOrchestrationOptions,
) *api.OrchestrationMetadata {
	h.Helper()
	return h.end(h.start(name, input, options...))
}

func (h *hub) state(id api.InstanceID) *api.OrchestrationMetadata {
	h.Helper()
	state, err := h.client.FetchOrchestrationMetadata(h.ctx, id)
	h.must(err)
	return state
}

func (h *hub) raise(id api.InstanceID, name string, data any) {
	h.Helper()
	h.must(h.client.RaiseEvent(h.ctx, id, name, api.WithEventPayload(data)))
}

func (h *hub) terminate(id api.InstanceID, options ...api.TerminateOptions) {
	h.Helper()
	h.must(h.client.TerminateOrchestration(h.ctx, id, options...))
}

// The state once it is so.
func (h *hub) until(id api.InstanceID, what string,
	so func(*api.OrchestrationMetadata) bool) *api.OrchestrationMetadata {
	h.Helper()
	for {
		state, err := h.client.FetchOrchestrationMetadata(h.ctx, id)
		if err == nil && so(state) {
			return state
		}
		if err != nil && err != api.ErrInstanceNotFound {
			h.Fatalf("waited for %s to be %s: %v", id, what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (h *hub) untilStatus(id api.InstanceID, wanted api.OrchestrationStatus) {
	h.Helper()
	h.until(id, nameOf(wanted), func(state *api.OrchestrationMetadata) bool {
		return state.RuntimeStatus == wanted
	})
}

func (h *hub) untilCustomStatus(id api.InstanceID, wanted string) {
	h.Helper()
	h.until(id, "at "+wanted, func(state *api.OrchestrationMetadata) bool {
		return state.SerializedCustomStatus == wanted
	})
}

func (h *hub) hasStatus(id api.InstanceID, wanted api.OrchestrationStatus) {
	h.Helper()
	h.equal(nameOf(h.state(id).RuntimeStatus), nameOf(wanted))
}

func (h *hub) isGone(id api.InstanceID) {
	h.Helper()
	_, err := h.client.FetchOrchestrationMetadata(h.ctx, id)
	h.equal(err, api.ErrInstanceNotFound)
}

// What it returned, which has to have completed.
func output[T any](h *hub, state *api.OrchestrationMetadata) T {
	h.Helper()
	h.expect(state.RuntimeStatus == completed, "%s has %s: %s", state.InstanceID,
		nameOf(state.RuntimeStatus), state.SerializedOutput)
	var result T
	h.must(json.Unmarshal([]byte(state.SerializedOutput), &result))
	return result
}

func numbers(from, to int) []int {
	all := []int{}
	for n := from; n < to; n++ {
		all = append(all, n)
	}
	return all
}
