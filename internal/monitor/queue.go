package monitor

import (
	"container/heap"
	"time"
)

// queue holds things that are due at a time, the earliest first. Each stands in it once.
type queue[T comparable] struct {
	items []queued[T]
	at    map[T]int // where each stands in items
}

type queued[T comparable] struct {
	thing T
	due   time.Time
}

// set puts a thing in, or moves it; the zero time takes it out.
func (q *queue[T]) set(thing T, due time.Time) {
	if q.at == nil {
		q.at = map[T]int{}
	}
	i, known := q.at[thing]
	switch {
	case due.IsZero() && known:
		heap.Remove(q, i)
	case due.IsZero():
	case known:
		q.items[i].due = due
		heap.Fix(q, i)
	default:
		heap.Push(q, queued[T]{thing, due})
	}
}

// due returns when a thing is due; zero: it is not in the queue.
func (q *queue[T]) due(thing T) time.Time {
	if i, known := q.at[thing]; known {
		return q.items[i].due
	}
	return time.Time{}
}

// first returns what is due first.
func (q *queue[T]) first() (thing T, due time.Time, ok bool) {
	if len(q.items) == 0 {
		return thing, due, false
	}
	return q.items[0].thing, q.items[0].due, true
}

// What follows is heap.Interface.

func (q *queue[T]) Len() int           { return len(q.items) }
func (q *queue[T]) Less(i, j int) bool { return q.items[i].due.Before(q.items[j].due) }

func (q *queue[T]) Swap(i, j int) {
	q.items[i], q.items[j] = q.items[j], q.items[i]
	q.at[q.items[i].thing], q.at[q.items[j].thing] = i, j
}

func (q *queue[T]) Push(x any) {
	q.items = append(q.items, x.(queued[T]))
	q.at[q.items[len(q.items)-1].thing] = len(q.items) - 1
}

func (q *queue[T]) Pop() any {
	last := q.items[len(q.items)-1]
	q.items = q.items[:len(q.items)-1]
	delete(q.at, last.thing)
	return last
}
