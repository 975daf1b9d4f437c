package linux

import (
	"context"
	"net/http"

	"bulkhead/fabric"
	"bulkhead/fabric/ethernet"
	"bulkhead/fabric/ethernet/agent"
)

type writeRequest struct {
	Fence fabric.Fence       `json:"fence"`
	Rows  map[int]fabric.Row `json:"rows"`
}

type writeAnswer struct {
	Failed map[int]string `json:"failed"`
}

type admitRequest struct {
	Fence fabric.Fence `json:"fence"`
}

// Handler is the agent's side of the protocol. A capture is answered in its canonical
// form.
func (a *Agent) Handler() http.Handler {
	mux := http.NewServeMux()
	a.changes.Handle(mux)
	agent.Handle(mux, "read", func(ctx context.Context, _ struct{}) (any, error) {
		c, err := a.Read(ctx)
		if err != nil {
			return nil, err
		}
		raw, err := ethernet.Encode(&c)
		return agent.Raw(raw), err
	})
	agent.Handle(mux, "admit", func(ctx context.Context, q admitRequest) (any, error) {
		return struct{}{}, a.Admit(ctx, q.Fence)
	})
	agent.Handle(mux, "write", func(ctx context.Context, q writeRequest) (any, error) {
		failed, err := a.Write(ctx, q.Rows, q.Fence)
		return writeAnswer{failed}, err
	})
	return mux
}
