package iblab

import (
	"context"
	"fmt"
	"time"

	"bulkhead/fabric/infiniband/mad"
	"bulkhead/fabric/infiniband/umad"
	"bulkhead/lab/await"
)

// joinGroup asks subnet administration, from a host, to make and join a multicast
// group of a partition. It returns the status of the answer.
func (l *Lab) joinGroup(ctx context.Context, host string, portGUID uint64, key mad.PKey, group uint32) (mad.Status, error) {
	return l.askGroup(ctx, host, mad.Set, mad.MCMember{Group: group, Port: portGUID, PKey: key, Join: mad.JoinFull})
}

// askGroup asks it to join a group, or to leave it.
func (l *Lab) askGroup(ctx context.Context, host string, method mad.Method, member mad.MCMember) (mad.Status, error) {
	at, err := umad.OpenSim(umad.SimOptions{Socket: l.Fabric.Name, Host: host})
	if err != nil {
		return 0, err
	}
	stop := context.AfterFunc(ctx, func() { _ = at.Close() })
	late := time.AfterFunc(await.Patience, func() { _ = at.Close() })
	defer func() {
		late.Stop()
		if stop() {
			_ = at.Close()
		}
	}()
	manager, err := l.Fabric.Port(host, 1)
	if err != nil {
		return 0, err
	}
	ask := member.Ask(method, uint64(member.Group))
	packet := ask.Encode()
	if err := at.Send(manager.MasterSMLID, &packet); err != nil {
		return 0, err
	}
	for {
		var p mad.Packet
		lost, err := at.Recv(&p)
		if err != nil {
			return 0, err
		}
		if lost {
			return 0, fmt.Errorf("subnet administration can't be reached from %s", host)
		}
		if answer, err := mad.ParseSA(&p); err == nil && answer.Attribute == mad.AttrMCMemberRecord && uint32(answer.TID) == member.Group {
			return answer.Status, nil
		}
	}
}

// useUpGroups joins one multicast group after the other from the first rival's host, and
// leaves each as a member that receives, but not as one that sends: each keeps its
// multicast LID. It ends when subnet administration has no more.
func (l *Lab) useUpGroups(ctx context.Context) error {
	v := l.victims()
	guid := l.Site.PortID[v.port[0]]
	for group := range uint32(1 << 15) {
		m := mad.MCMember{Group: 0xa000 + group, Port: guid, PKey: v.key[0], Join: mad.JoinFull | mad.JoinSendFull}
		status, err := l.askGroup(ctx, v.hca[0], mad.Set, m)
		switch {
		case err != nil:
			return err
		case status == mad.StatusNoResources:
			return nil
		case status != mad.StatusOK:
			return fmt.Errorf("group %d: %s", group, status)
		}
		m.Join = mad.JoinFull
		if status, err := l.askGroup(ctx, v.hca[0], mad.Delete, m); err != nil || status != mad.StatusOK {
			return fmt.Errorf("leaving group %d: %s, %v", group, status, err)
		}
	}
	return fmt.Errorf("%d groups, and there is still room", 1<<15)
}
