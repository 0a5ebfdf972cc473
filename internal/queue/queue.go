// Package queue holds things that are due at a time. It knows no clock.
package queue

import (
	"container/heap"
	"time"
)

// Queue gives the thing that is due first. Each stands in it once. The zero Queue is
// empty; it is not safe for concurrent use.
type Queue[T comparable] struct{ heap items[T] }

// Set puts a thing in, or moves it; the zero time takes it out.
func (q *Queue[T]) Set(thing T, due time.Time) {
	h := &q.heap
	if h.at == nil {
		h.at = map[T]int{}
	}
	i, known := h.at[thing]
	switch {
	case due.IsZero() && known:
		heap.Remove(h, i)
	case due.IsZero():
	case known:
		h.list[i].due = due
		heap.Fix(h, i)
	default:
		heap.Push(h, item[T]{thing, due})
	}
}

// Due returns when a thing is due; zero: it is not in the queue.
func (q *Queue[T]) Due(thing T) time.Time {
	if i, known := q.heap.at[thing]; known {
		return q.heap.list[i].due
	}
	return time.Time{}
}

// First returns what is due first.
func (q *Queue[T]) First() (thing T, due time.Time, ok bool) {
	if len(q.heap.list) == 0 {
		return thing, due, false
	}
	return q.heap.list[0].thing, q.heap.list[0].due, true
}

type item[T comparable] struct {
	thing T
	due   time.Time
}

// items is a heap.Interface.
type items[T comparable] struct {
	list []item[T]
	at   map[T]int // where each stands in list
}

func (h *items[T]) Len() int           { return len(h.list) }
func (h *items[T]) Less(i, j int) bool { return h.list[i].due.Before(h.list[j].due) }

func (h *items[T]) Swap(i, j int) {
	h.list[i], h.list[j] = h.list[j], h.list[i]
	h.at[h.list[i].thing], h.at[h.list[j].thing] = i, j
}

func (h *items[T]) Push(x any) {
	h.list = append(h.list, x.(item[T]))
	h.at[h.list[len(h.list)-1].thing] = len(h.list) - 1
}

func (h *items[T]) Pop() any {
	last := h.list[len(h.list)-1]
	h.list = h.list[:len(h.list)-1]
	delete(h.at, last.thing)
	return last
}
